// The variables of a request, written as JSON.

import { errorOffset } from "./json-errors.js";

/** An error in the variables: at a `place`, whose `line` and `column` begin with 1, or null if they are no object. */
export class VariablesError extends Error {
  constructor(place = null) {
    super("The variables are not a JSON object");
    this.place = place;
  }
}

/** Return the variables in a text as an object; an empty text has none. Throws a VariablesError. */
export function parseVariables(text) {
  if (!text.trim()) return {};
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new VariablesError(placeOf(text, errorOffset(text)));
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new VariablesError();
  return value;
}

function placeOf(text, offset) {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: before[before.length - 1].length + 1 };
}
