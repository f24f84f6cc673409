// Suggestions for the text before the cursor.

import { printType } from "./schema.js";
import { expectationAt } from "./syntax.js";
import { isIgnored, tokenize } from "./tokens.js";

const MAX_NAME_LENGTH = 1_000;
const KEYWORDS = ["query", "mutation", "subscription", "fragment"];

/** Return `{ start, end, prefix, items }`: what to replace, and the suggestions `{ name, detail, description, deprecated }`. */
export function complete(text, offset, schema) {
  const tokens = tokenize(text);
  const expected = expectationAt(tokens, offset, schema);
  const { token } = expected;
  const start = token ? token.start : offset;
  const prefix = text.slice(start, offset);
  const items = matching(candidates(expected, prefix, tokens, schema), prefix);
  return { start, end: token ? token.end : offset, prefix, items };
}

/** Return the candidates that contain the prefix: those that begin with it come first, shorter ones before longer ones. */
function matching(items, prefix) {
  const wanted = prefix.toLowerCase();
  const rank = ({ name }) => (name.toLowerCase().startsWith(wanted) ? 0 : MAX_NAME_LENGTH) + name.length;
  return items
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .sort((first, second) => (wanted ? rank(first) - rank(second) : 0));
}

function candidates(expected, prefix, tokens, schema) {
  if (expected.kind === "none") return [];
  if (prefix.startsWith("@")) return directives(schema);
  if (prefix.startsWith("$")) return expected.kind === "value" ? variables(tokens) : [];
  switch (expected.kind) {
    case "definition":
      return keywords(schema);
    case "keyword on":
      return [{ name: "on" }];
    case "field":
      return schema ? schema.fields(expected.type).map(ofField) : [];
    case "fragment":
      return [{ name: "on" }, ...fragments(tokens)];
    case "composite type":
      return schema ? schema.compositeTypes().map(ofType) : [];
    case "input type":
      return schema ? schema.inputTypes().map(ofType) : [];
    case "argument":
      return (expected.inputs ?? []).map(ofField);
    case "value":
      return [...values(expected.type, schema), ...variables(tokens)];
    default:
      return [];
  }
}

function keywords(schema) {
  return KEYWORDS.filter((name) => !schema || name === "fragment" || schema.root(name)).map((name) => ({ name }));
}

function ofField(field) {
  const { name, description, isDeprecated } = field;
  return { name, description, detail: printType(field.type), deprecated: Boolean(isDeprecated) };
}

function ofType({ name, description }) {
  return { name, description };
}

function values(reference, schema) {
  const type = schema?.resolve(reference);
  if (type?.kind === "ENUM") {
    return type.enumValues.map(({ name, description, isDeprecated }) => ({ name, description, deprecated: isDeprecated }));
  }
  return type?.name === "Boolean" ? [{ name: "true" }, { name: "false" }] : [];
}

function directives(schema) {
  const wanted = ["include", "skip"];
  const known = schema?.directives.filter(({ name }) => wanted.includes(name)) ?? wanted.map((name) => ({ name }));
  return known.map(({ name, description }) => ({ name: `@${name}`, description }));
}

function variables(tokens) {
  const names = tokens.filter(({ type, text }) => type === "variable" && text.length > 1).map(({ text }) => text);
  return [...new Set(names)].map((name) => ({ name }));
}

function fragments(tokens) {
  const names = tokens.filter((token) => !isIgnored(token));
  return names
    .filter((token, index) => token.type === "name" && names[index - 1]?.text === "fragment")
    .map(({ text }) => ({ name: text }));
}
