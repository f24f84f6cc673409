// A model of the caller's schema, built from the result of introspection.

export const INTROSPECTION = `query Introspection {
  __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types {
      kind name description
      fields(includeDeprecated: true) {
        name description isDeprecated deprecationReason args { ...Input } type { ...Type }
      }
      inputFields { ...Input }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
      possibleTypes { name }
    }
    directives { name description args { ...Input } }
  }
}
fragment Input on __InputValue { name description defaultValue type { ...Type } }
fragment Type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }
`;

const COMPOSITE_KINDS = ["OBJECT", "INTERFACE", "UNION"];
const INPUT_KINDS = ["SCALAR", "ENUM", "INPUT_OBJECT"];
const TYPENAME = {
  name: "__typename",
  description: "The name of the object's type.",
  args: [],
  type: { kind: "NON_NULL", name: null, ofType: { kind: "SCALAR", name: "String" } },
};

/** Return a type as GraphQL writes it, such as `[String!]!`. */
export function printType(type) {
  if (type.kind === "NON_NULL") return `${printType(type.ofType)}!`;
  if (type.kind === "LIST") return `[${printType(type.ofType)}]`;
  return type.name;
}

/** Return the name of a type without its lists and exclamation marks. */
export function namedType(type) {
  return type.ofType ? namedType(type.ofType) : type.name;
}

/** Return whether an argument or an input field must have a value. */
export function isRequired(input) {
  return input.type.kind === "NON_NULL" && input.defaultValue === null;
}

/** The types, fields and directives that the caller may use. */
export class Schema {
  constructor({ __schema: description }) {
    this.types = new Map(description.types.map((type) => [type.name, type]));
    this.directives = description.directives;
    this.roots = { query: description.queryType, mutation: description.mutationType };
    this.roots.subscription = description.subscriptionType;
  }

  /** Return the root type of an operation such as `query`; undefined if the caller has none. */
  root(operation) {
    return this.types.get(this.roots[operation]?.name);
  }

  /** Return the type that a reference with lists and exclamation marks leads to. */
  resolve(reference) {
    return reference ? this.types.get(namedType(reference)) : undefined;
  }

  /** Return the fields of an object type, with `__typename`; none for other types. */
  fields(type) {
    if (!type || !COMPOSITE_KINDS.includes(type.kind)) return [];
    return [...(type.fields ?? []), TYPENAME];
  }

  /** Return a field of an object type; undefined if it has no such field. */
  field(type, name) {
    return this.fields(type).find((field) => field.name === name);
  }

  /** Return whether fields of a type have a selection of their own. */
  isComposite(type) {
    return Boolean(type) && COMPOSITE_KINDS.includes(type.kind);
  }

  /** Return the types that fragments can have. */
  compositeTypes() {
    return this.#typesOf(COMPOSITE_KINDS);
  }

  /** Return the types that variables can have. */
  inputTypes() {
    return this.#typesOf(INPUT_KINDS);
  }

  /** Return the types and fields whose names contain a text, at most `limit`: `{ type, field }`, names that begin with it first. */
  search(text, limit = 50) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return [];
    const found = [];
    for (const type of this.types.values()) {
      if (type.name.startsWith("__")) continue;
      if (type.name.toLowerCase().includes(wanted)) found.push({ type, name: type.name });
      for (const field of [...(type.fields ?? []), ...(type.inputFields ?? [])]) {
        if (field.name.toLowerCase().includes(wanted)) found.push({ type, field, name: field.name });
      }
    }
    const rank = ({ name, type, field }) =>
      Number(!name.toLowerCase().startsWith(wanted)) * 2 + Number(field !== undefined && !this.#isRoot(type));
    return found.sort((first, second) => rank(first) - rank(second)).slice(0, limit);
  }

  #isRoot(type) {
    return Object.values(this.roots).some((root) => root?.name === type.name);
  }

  #typesOf(kinds) {
    return [...this.types.values()].filter((type) => kinds.includes(type.kind) && !type.name.startsWith("__"));
  }
}
