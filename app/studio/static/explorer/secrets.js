// Removes passwords and other secrets from documents and variables, before they are stored in the browser.

import { withRoles } from "./syntax.js";
import { isIgnored, tokenize } from "./tokens.js";

const SECRET_NAME = /passw|secret|token|otp|code/i;

/** Return a document whose arguments with secrets have an empty text. */
export function documentWithoutSecrets(text) {
  const tokens = withRoles(tokenize(text));
  const meaningful = tokens.filter((token) => !isIgnored(token));
  const secrets = meaningful.filter((token, index) => token.type === "string" && isSecret(meaningful, index));
  return tokens.map((token) => (secrets.includes(token) ? '""' : token.text)).join("");
}

function isSecret(tokens, index) {
  const name = tokens[index - 1]?.text === ":" ? tokens[index - 2] : undefined;
  return name?.role === "argument" && SECRET_NAME.test(name.text);
}

/** Return a copy of a JSON value in which the texts with a secret's name are empty, at any depth. */
export function valueWithoutSecrets(value, name = "") {
  if (Array.isArray(value)) return value.map((each) => valueWithoutSecrets(each, name));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, valueWithoutSecrets(each, key)]));
  }
  return typeof value === "string" && SECRET_NAME.test(name) ? "" : value;
}
