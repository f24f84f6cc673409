// Formats documents: one field per line, two spaces of indent. Comments and strings stay as they are.

import { tokenize } from "./tokens.js";

const INDENT = "  ";
const NO_SPACE_BEFORE = [")", "]", ":", "!", "("];
const NO_SPACE_AFTER = ["(", "[", "..."];

/** Return a document in the usual format. Texts that are not GraphQL are formatted as far as possible. */
export function format(text) {
  const printer = new Printer();
  let hasLineBreak = false;
  for (const token of tokenize(text)) {
    if (token.type === "space") hasLineBreak ||= token.text.includes("\n");
    else {
      printer.print(token, hasLineBreak);
      hasLineBreak = false;
    }
  }
  return printer.text();
}

class Printer {
  constructor() {
    this.lines = [""];
    this.brackets = [];
    this.previous = null;
  }

  print(token, followsLineBreak) {
    if (token.type === "comment") this.#comment(token.text, followsLineBreak);
    else if (token.text === "{" && !this.#isInsideArguments()) this.#open();
    else if (token.text === "}" && !this.#isInsideArguments()) this.#close();
    else this.#inline(token);
    this.previous = token;
  }

  text() {
    return `${this.lines.map((line) => line.trimEnd()).join("\n").trim()}\n`;
  }

  #isInsideArguments() {
    return this.brackets.some((bracket) => bracket !== "{");
  }

  #newLine() {
    if (this.lines[this.lines.length - 1].trim()) this.lines.push(INDENT.repeat(this.brackets.length));
  }

  #append(text, spaced = true) {
    const line = this.lines[this.lines.length - 1];
    this.lines[this.lines.length - 1] = line + (spaced && line.trim() ? " " : "") + text;
  }

  #comment(text, followsLineBreak) {
    if (followsLineBreak) this.#newLine();
    this.#append(text);
    this.#newLine();
  }

  #open() {
    this.#append("{");
    this.brackets.push("{");
    this.#newLine();
  }

  #close() {
    this.brackets.pop();
    this.#newLine();
    this.lines[this.lines.length - 1] = `${INDENT.repeat(this.brackets.length)}}`;
    if (this.brackets.length === 0) this.lines.push("", "");
    else this.#newLine();
  }

  #inline(token) {
    if (["(", "[", "{"].includes(token.text)) this.brackets.push(token.text);
    if (this.#startsField(token)) this.#newLine();
    this.#append(this.#isSeparated(token) ? `, ${token.text}` : token.text, this.#isSpaced(token));
    if ([")", "]", "}"].includes(token.text)) this.brackets.pop();
  }

  /** Return whether a token is the first one of a selection's next field. */
  #startsField(token) {
    if (this.brackets.length === 0 || this.#isInsideArguments()) return false;
    if (token.type === "spread") return true;
    return token.type === "name" && ![":", "...", "on"].includes(this.previous.text) && !this.#isCondition(token);
  }

  #isCondition(token) {
    return token.text === "on" && this.previous.text === "...";
  }

  /** Return whether a comma belongs before a token: between arguments, and between the values of a list. */
  #isSeparated(token) {
    if (!this.#isInsideArguments() || ["(", "[", "{", ":", "="].includes(this.previous.text)) return false;
    if (["punctuation", "directive"].includes(token.type) && !["[", "{"].includes(token.text)) return false;
    return this.previous.type !== "comment";
  }

  #isSpaced(token) {
    if (this.#isSeparated(token)) return false;
    if (this.previous && NO_SPACE_AFTER.includes(this.previous.text)) return token.text === "on" && this.previous.text === "...";
    if (token.text === "[" || token.text === "{" || token.text === "}") return true;
    return !NO_SPACE_BEFORE.includes(token.text);
  }
}
