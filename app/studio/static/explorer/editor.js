// The editor: a text area over an element that shows the same text in colors.

import { showTokens } from "./highlighting.js";
import { withRoles } from "./syntax.js";
import { tokenize } from "./tokens.js";

const INDENT = "  ";

/** A text area whose text is a GraphQL document. */
export class Editor {
  constructor(textarea, highlight) {
    this.textarea = textarea;
    this.highlight = highlight;
    this.schema = null;
    textarea.addEventListener("input", () => this.refresh());
    textarea.addEventListener("blur", () => this.refresh());
    textarea.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.isComposing) return;
      if (event.key === "Enter" && !event.altKey && !event.shiftKey) this.#breakLine(event);
      if (event.key === "}") this.#closeSelection(event);
    });
    this.refresh();
  }

  get text() {
    return this.textarea.value;
  }

  get offset() {
    return this.textarea.selectionStart;
  }

  /** Show the text in colors; with a schema, unknown names are marked, except the one that is being typed. */
  refresh() {
    const typedEnd = document.activeElement === this.textarea ? this.offset : -1;
    const isTyped = ({ end, role }) => end === typedEnd && role === "unknown";
    const tokens = withRoles(tokenize(this.text), this.schema);
    showTokens(this.highlight, tokens.map((token) => (isTyped(token) ? { ...token, role: "field" } : token)));
    this.highlight.append("\n");
  }

  /** Begin with a text: it neither takes the focus nor can be undone. */
  start(text) {
    this.textarea.value = text;
    this.refresh();
  }

  /** Replace the whole text; it can be undone. */
  replace(text) {
    this.insert(text, 0, this.text.length);
  }

  /** Replace a part of the text and put the cursor behind it; it can be undone. */
  insert(text, start = this.offset, end = this.textarea.selectionEnd) {
    this.textarea.focus();
    this.textarea.setSelectionRange(start, end);
    // Deprecated, but nothing else keeps the history of the browser's undo command
    if (!document.execCommand("insertText", false, text)) {
      this.textarea.setRangeText(text, start, end, "end");
      this.textarea.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  /** Put the cursor at a place; line and column begin with 1. */
  moveTo({ line, column }) {
    const before = this.text.split("\n").slice(0, line - 1);
    const offset = before.reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
    this.textarea.focus();
    this.textarea.setSelectionRange(offset, offset);
  }

  /** Return the rectangle of an offset on the screen. */
  rectangleAt(offset) {
    const range = document.createRange();
    const walker = document.createTreeWalker(this.highlight, NodeFilter.SHOW_TEXT);
    let rest = offset;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (rest < node.length) {
        range.setStart(node, rest);
        range.setEnd(node, rest);
        return range.getClientRects()[0] ?? this.highlight.getBoundingClientRect();
      }
      rest -= node.length;
    }
    return this.highlight.getBoundingClientRect();
  }

  /** Begin a line with the indent of this one, one deeper after an opening bracket. */
  #breakLine(event) {
    const [before, after] = [this.text.slice(0, this.offset), this.text.slice(this.textarea.selectionEnd)];
    const indent = /[^\n]*$/.exec(before)[0].match(/^ */)[0];
    const opens = /[{([]\s*$/.test(before);
    event.preventDefault();
    this.insert(`\n${indent}${opens ? INDENT : ""}`);
    if (opens && /^ *[})\]]/.test(after)) {
      const { offset } = this;
      this.insert(`\n${indent}`);
      this.textarea.setSelectionRange(offset, offset);
    }
  }

  /** Put a closing bracket that begins its line one level further out. */
  #closeSelection(event) {
    if (this.offset !== this.textarea.selectionEnd) return;
    const line = /[^\n]*$/.exec(this.text.slice(0, this.offset))[0];
    if (line.trim() || line.length < INDENT.length) return;
    event.preventDefault();
    this.insert("}", this.offset - INDENT.length, this.offset);
  }
}
