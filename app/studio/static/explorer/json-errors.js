// Finds the place of an error in a JSON text: not all browsers name it.

const TOKEN = /\s*(?:[{}[\],:]|"(?:[^"\\\u0000-\u001F]|\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;
const CLOSING = { "{": "}", "[": "]" };

/** Return the offset at which a text stops to be JSON. */
export function errorOffset(text) {
  const scanner = new Scanner(text);
  return scanner.value() && scanner.peek() === "" ? text.length : scanner.offset();
}

class Scanner {
  constructor(text) {
    this.text = text;
    this.end = 0;
  }

  /** Return the offset of what comes next, after white space. */
  offset() {
    return this.end + /^\s*/.exec(this.text.slice(this.end))[0].length;
  }

  /** Return the next token; an empty text if there is none. */
  peek() {
    TOKEN.lastIndex = this.end;
    return TOKEN.exec(this.text)?.[0].trim() ?? "";
  }

  /** Go past the next token, if it is the expected one; return whether it is. */
  accept(expected) {
    if (this.peek() !== expected) return false;
    this.#skip();
    return true;
  }

  /** Go past a value, or to the error in it; return whether it is valid. */
  value() {
    const token = this.peek();
    if (token in CLOSING) {
      this.#skip();
      return this.#items(CLOSING[token], token === "{");
    }
    if (!/^["\-\dtfn]/.test(token)) return false;
    this.#skip();
    return true;
  }

  #items(closing, hasNames) {
    if (this.accept(closing)) return true;
    do {
      if (hasNames && !this.#name()) return false;
      if (!this.value()) return false;
    } while (this.accept(","));
    return this.accept(closing);
  }

  #name() {
    if (!this.peek().startsWith('"')) return false;
    this.#skip();
    return this.accept(":");
  }

  #skip() {
    TOKEN.lastIndex = this.end;
    TOKEN.exec(this.text);
    this.end = TOKEN.lastIndex;
  }
}
