// Shows texts in colors.

import { element } from "./elements.js";

const JSON_TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MAX_LENGTH = 200_000;

/** Replace the content of an element by tokens with roles, one colored span each. */
export function showTokens(target, tokens) {
  const parts = tokens.map(({ role, text }) => (role === "space" ? text : element("span", { class: `code-${role}` }, text)));
  target.replaceChildren(...parts);
}

/** Replace the content of an element by a JSON text in colors; very long ones are shown without. */
export function showJson(target, text) {
  if (text.length > MAX_LENGTH) {
    target.textContent = text;
    return;
  }
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(JSON_TOKEN)) {
    parts.push(text.slice(end, match.index));
    const [whole, string, colon] = match;
    const role = string === undefined ? "literal" : colon === undefined ? "string" : "field";
    parts.push(element("span", { class: `code-${role}` }, string ?? whole), colon ?? "");
    end = match.index + whole.length;
  }
  target.replaceChildren(...parts, text.slice(end));
}
