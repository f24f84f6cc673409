// The request in the page: document, variables, and the operation to run.

import { message } from "./messages.js";
import { operationAt, operationsOf } from "./operations.js";
import { VariablesError, parseVariables } from "./variables.js";

/** Reads and writes the fields of the request. */
export class RequestForm {
  constructor(root, editor) {
    this.editor = editor;
    this.variables = root.querySelector("[data-variables]");
    this.error = root.querySelector("[data-variables-error]");
    this.choice = root.querySelector("[data-operation-choice]");
    this.operation = root.querySelector("[data-operation]");
    this.variables.addEventListener("input", () => this.#checkVariables());
    editor.textarea.addEventListener("input", () => this.#showOperations());
    document.addEventListener("selectionchange", () => {
      if (document.activeElement === editor.textarea) this.#followCursor();
    });
    this.#showOperations();
  }

  /** Return the request as the endpoint expects it; null, with the error shown, if the variables are not valid. */
  read() {
    const variables = this.#checkVariables();
    if (variables === null) {
      this.variables.focus();
      return null;
    }
    const request = { query: this.editor.text };
    if (Object.keys(variables).length) request.variables = variables;
    if (!this.choice.hidden && this.operation.value) request.operationName = this.operation.value;
    return request;
  }

  /** Begin with a document and its variables: neither takes the focus nor can be undone. */
  start(query, variables) {
    this.editor.start(query);
    this.#writeVariables(variables);
  }

  /** Replace the document and its variables. */
  write(query, variables) {
    this.editor.replace(query);
    this.#writeVariables(variables);
  }

  /** Show variables, an object or a JSON text. */
  #writeVariables(variables) {
    const text = typeof variables === "string" ? variables : JSON.stringify(variables ?? {}, null, 2);
    this.variables.value = text === "{}" ? "" : indented(text);
    this.#checkVariables();
    this.#showOperations();
  }

  /** Return the variables, null if they are not valid; show or remove the error. */
  #checkVariables() {
    try {
      const variables = parseVariables(this.variables.value);
      this.#showError("");
      return variables;
    } catch (error) {
      if (!(error instanceof VariablesError)) throw error;
      this.#showError(error.place ? message("invalid-json", error.place) : message("not-an-object"));
      return null;
    }
  }

  #showError(text) {
    this.error.textContent = text;
    this.error.hidden = !text;
    this.variables.setAttribute("aria-invalid", String(Boolean(text)));
    this.variables.closest(".field").classList.toggle("invalid", Boolean(text));
  }

  #showOperations() {
    const named = operationsOf(this.editor.text).filter(({ name }) => name);
    this.choice.hidden = named.length < 2;
    this.operation.replaceChildren(...named.map(({ name, kind }) => new Option(`${kind} ${name}`, name)));
    this.#followCursor();
  }

  /** Choose the operation at the cursor. */
  #followCursor() {
    const current = operationAt(operationsOf(this.editor.text), this.editor.offset);
    if (current?.name) this.operation.value = current.name;
  }
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
