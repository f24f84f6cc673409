// Writes documents for fields of the schema.

import { format } from "./format.js";
import { isRequired, namedType, printType } from "./schema.js";

const MAX_FIELDS = 6;
const HIDDEN_TYPES = ["Hash"]; // of secrets, which the server masks

/** Return an operation that selects a root field, with a variable for each required argument. */
export function operationFor(schema, kind, field) {
  const required = field.args.filter(isRequired);
  const definitions = required.map(({ name, type }) => `$${name}: ${printType(type)}`).join(", ");
  const head = `${kind} ${operationName(field.name)}${definitions && `(${definitions})`}`;
  return format(`${head} { ${selectionOf(schema, field)} }`);
}

/** Return a field with its required arguments and, if its type has fields, a selection of some of them. */
export function selectionOf(schema, field) {
  const values = field.args.filter(isRequired).map(({ name }) => `${name}: $${name}`);
  const call = field.name + (values.length ? `(${values.join(", ")})` : "");
  const type = schema.resolve(field.type);
  return schema.isComposite(type) ? `${call} { ${leafNames(schema, type).join(" ")} }` : call;
}

function operationName(name) {
  return name.replace(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase());
}

/** Return the names of the first fields without a selection and without required arguments. */
function leafNames(schema, type) {
  const leaves = schema
    .fields(type)
    .filter((field) => !schema.isComposite(schema.resolve(field.type)) && !field.args.some(isRequired))
    .filter(({ name, type: reference, isDeprecated }) => {
      return !isDeprecated && !name.startsWith("__") && !HIDDEN_TYPES.includes(namedType(reference));
    });
  return leaves.length ? leaves.slice(0, MAX_FIELDS).map(({ name }) => name) : ["__typename"];
}
