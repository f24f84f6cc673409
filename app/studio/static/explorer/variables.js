// The variables of a request, written as JSON.

/** An error in a JSON text, with its place if it is known: `line` and `column` begin with 1. */
export class JsonError extends Error {
  constructor(message, place = null) {
    super(message);
    this.place = place;
  }
}

/** Return the variables in a text as an object; an empty text has none. Throws a JsonError. */
export function parseVariables(text) {
  if (!text.trim()) return {};
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new JsonError(error.message, placeOf(error.message, text));
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new JsonError("");
  return value;
}

/** Return the place that a browser's message names, as an offset or as line and column; null if it names none. */
function placeOf(message, text) {
  const lines = /line (\d+) column (\d+)/.exec(message);
  if (lines) return { line: Number(lines[1]), column: Number(lines[2]) };
  const offset = /position (\d+)/.exec(message)?.[1] ?? (/end of/i.test(message) ? text.length : null);
  if (offset === null) return null;
  const before = text.slice(0, Number(offset)).split("\n");
  return { line: before.length, column: before[before.length - 1].length + 1 };
}
