// Finds the role of each token in a document, and what may come at an offset. Without a schema the types are unknown.

import { isIgnored } from "./tokens.js";

const OPERATIONS = ["query", "mutation", "subscription"];
const LITERALS = ["true", "false", "null"];
const CLOSING = [")", "}", "]"];

/**
 * Follows the tokens of a document.
 *
 * Each open bracket has a frame on the stack: `document`, `selection`, `arguments`, `variables` (the definitions of an
 * operation's variables), `object` or `list`. The last frame also has what the next token depends on.
 */
class Walker {
  constructor(schema) {
    this.schema = schema;
    this.stack = [{ kind: "document" }];
    this.operation = null;
  }

  get frame() {
    return this.stack[this.stack.length - 1];
  }

  /** Return what a name at this place would be: `{ kind, ... }`. */
  expectation() {
    const frame = this.frame;
    switch (frame.kind) {
      case "document":
        return frame.after === "on" ? { kind: "composite type" } : { kind: frame.after ?? "definition" };
      case "selection":
        if (frame.after === "...") return { kind: "fragment", type: frame.type };
        if (frame.after === "on") return { kind: "composite type" };
        return { kind: "field", type: frame.type };
      case "variables":
        if (frame.after === ":") return { kind: "input type" };
        return { kind: frame.after === "=" ? "value" : "variable definition", type: undefined };
      case "list":
        return frame.isType ? { kind: "input type" } : { kind: "value", type: frame.type };
      default:
        return frame.after === ":"
          ? { kind: "value", type: frame.input?.type }
          : { kind: "argument", inputs: frame.inputs };
    }
  }

  /** Go past a token and return its role. `next` is the token after it. */
  step(token, next) {
    if (token.type === "punctuation") return this.#punctuation(token.text);
    if (token.type === "spread") return this.#spread();
    if (token.type === "directive") return this.#directive(token);
    if (token.type === "name") return this.#name(token, next);
    if (this.frame.after === ":" || this.frame.after === "=") {
      if (this.frame.kind !== "list") this.frame.after = undefined;
    }
    return token.type;
  }

  #punctuation(text) {
    if (CLOSING.includes(text)) {
      if (this.stack.length > 1) this.stack.pop();
      if (["arguments", "object", "variables"].includes(this.frame.kind)) this.frame.after = undefined;
      if (this.frame.kind === "document" && text === "}") this.#startDefinition();
    } else if (text === "{") this.#openBrace();
    else if (text === "(") this.#openParenthesis();
    else if (text === "[") this.#openBracket();
    else if (text === ":" || text === "=") this.frame.after = text;
    return "punctuation";
  }

  #startDefinition() {
    this.operation = null;
    this.frame.after = this.frame.type = undefined;
  }

  #openBrace() {
    const { kind, after } = this.frame;
    if (kind === "document") {
      if (!this.operation) this.operation = "query";
      this.stack.push({ kind: "selection", type: this.frame.type ?? this.schema?.root(this.operation) });
    } else if (kind === "selection") {
      const type = this.frame.condition ?? (after === "..." ? this.frame.type : this.#typeOf(this.frame.field));
      this.frame.after = this.frame.condition = undefined;
      this.stack.push({ kind: "selection", type });
    } else {
      const type = kind === "list" ? this.frame.type : this.frame.input?.type;
      this.stack.push({ kind: "object", inputs: this.schema?.resolve(type)?.inputFields });
    }
  }

  #openParenthesis() {
    if (this.frame.directive) {
      const inputs = this.schema?.directives.find(({ name }) => name === this.frame.directive)?.args;
      this.frame.directive = undefined;
      this.stack.push({ kind: "arguments", inputs });
    } else if (this.frame.kind === "document") this.stack.push({ kind: "variables" });
    else this.stack.push({ kind: "arguments", inputs: this.frame.field?.args });
  }

  #openBracket() {
    const isType = this.frame.kind === "variables" && this.frame.after === ":";
    this.stack.push({ kind: "list", isType, type: this.frame.kind === "list" ? this.frame.type : this.frame.input?.type });
  }

  #spread() {
    this.frame.after = "...";
    this.frame.directive = undefined;
    return "punctuation";
  }

  #directive(token) {
    this.frame.directive = token.text.slice(1);
    if (this.frame.after === ":" || this.frame.after === "=") this.frame.after = undefined;
    return "directive";
  }

  #name(token, next) {
    this.frame.directive = undefined;
    if (this.frame.kind === "document") return this.#nameInDocument(token.text);
    if (this.frame.kind === "selection") return this.#nameInSelection(token.text, next);
    const { kind } = this.expectation();
    if (kind === "argument") {
      this.frame.input = this.frame.inputs?.find(({ name }) => name === token.text);
      return this.frame.inputs && !this.frame.input ? "unknown" : "argument";
    }
    if (this.frame.kind !== "list") this.frame.after = undefined;
    if (kind === "input type") return "type";
    return LITERALS.includes(token.text) ? "literal" : "enum";
  }

  #nameInDocument(text) {
    const { after } = this.frame;
    if (after === "on") {
      this.frame.type = this.schema?.types.get(text);
      this.frame.after = "end";
      return "type";
    }
    if (after === "fragment name" || after === "operation name") {
      this.frame.after = after === "fragment name" ? "keyword on" : "end";
      return "definition";
    }
    if (after === "keyword on") this.frame.after = "on";
    else if (text === "fragment") [this.operation, this.frame.after] = ["fragment", "fragment name"];
    else if (OPERATIONS.includes(text)) [this.operation, this.frame.after] = [text, "operation name"];
    else return "unknown";
    return "keyword";
  }

  #nameInSelection(text, next) {
    const { frame } = this;
    if (frame.after === "..." && text === "on") {
      frame.after = "on";
      return "keyword";
    }
    if (frame.after === "on") {
      frame.condition = this.schema?.types.get(text);
      frame.after = "...";
      return "type";
    }
    if (frame.after === "..." && !frame.condition) {
      frame.after = undefined;
      return "fragment";
    }
    if (next?.text === ":") return "alias";
    frame.after = frame.condition = undefined;
    frame.field = this.schema?.field(frame.type, text);
    return this.schema && frame.type && !frame.field ? "unknown" : "field";
  }

  #typeOf(field) {
    return field ? this.schema?.resolve(field.type) : undefined;
  }
}

/** Return whether an offset is in a token that completion leaves alone. */
function isOpaque({ type, text, end }, offset) {
  if (type === "string") return offset < end || !/."$/s.test(text);
  return type === "comment" || type === "number";
}

/** Return the tokens, each with its `role`; one of "unknown" names nothing that the schema has. */
export function withRoles(tokens, schema = null) {
  const walker = new Walker(schema);
  return tokens.map((token, index) => {
    if (isIgnored(token)) return { ...token, role: token.type };
    const next = tokens.slice(index + 1, index + 4).find((each) => !isIgnored(each));
    return { ...token, role: walker.step(token, next) };
  });
}

/**
 * Return what may come at an offset: `{ kind, ... }` as in `Walker.expectation`, with the token under the cursor as
 * `token`, if it is a name that completion would replace. Comments and strings have the kind "none".
 */
export function expectationAt(tokens, offset, schema = null) {
  const walker = new Walker(schema);
  for (const [index, token] of tokens.entries()) {
    if (token.start >= offset) break;
    const isUnderCursor = token.start < offset && offset <= token.end;
    if (isUnderCursor && ["name", "variable", "directive"].includes(token.type)) {
      return { ...walker.expectation(), operation: walker.operation, token };
    }
    if (isUnderCursor && isOpaque(token, offset)) return { kind: "none" };
    if (!isIgnored(token)) walker.step(token, tokens.slice(index + 1, index + 4).find((each) => !isIgnored(each)));
  }
  return { ...walker.expectation(), operation: walker.operation, token: null };
}
