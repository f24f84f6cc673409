// The operations of a document.

import { isIgnored, tokenize } from "./tokens.js";

const KINDS = ["query", "mutation", "subscription"];

/** Return the operations `{ kind, name, start, end }` of a document, in their order; `name` is empty for an anonymous one. */
export function operationsOf(text) {
  const operations = [];
  const tokens = tokenize(text).filter((token) => !isIgnored(token));
  let depth = 0;
  let current = null;
  for (const [index, token] of tokens.entries()) {
    if (depth === 0 && current === null) current = definition(token, tokens[index + 1]);
    if (["{", "(", "["].includes(token.text) && token.type === "punctuation") depth += 1;
    if (["}", ")", "]"].includes(token.text) && token.type === "punctuation") depth = Math.max(0, depth - 1);
    if (current) current.end = token.end;
    if (depth === 0 && token.text === "}") {
      if (current?.kind) operations.push(current);
      current = null;
    }
  }
  if (current?.kind) operations.push(current);
  return operations;
}

function definition(token, next) {
  const kind = KINDS.includes(token.text) ? token.text : token.text === "{" ? "query" : null;
  const name = kind && token.text !== "{" && next?.type === "name" ? next.text : "";
  return { kind, name, start: token.start, end: token.end };
}

/** Return the operation at an offset, or the last one before it; undefined without operations. */
export function operationAt(operations, offset) {
  return operations.findLast(({ start }) => start <= offset) ?? operations[0];
}
