// The GraphQL explorer: wires the editor, the panels and the requests.

import { AnswerPanel } from "./answer-panel.js";
import { copy } from "./clipboard.js";
import { curlCommand } from "./curl.js";
import { DocsPanel } from "./docs-panel.js";
import { Editor } from "./editor.js";
import { format } from "./format.js";
import { HistoryPanel } from "./history-panel.js";
import { History } from "./history.js";
import { message } from "./messages.js";
import { RequestForm } from "./request-form.js";
import { errorsOf, isSignedIn, send } from "./requests.js";
import { INTROSPECTION, Schema } from "./schema.js";
import { operationFor, selectionOf } from "./snippets.js";
import { Suggestions } from "./suggestions.js";
import { expectationAt } from "./syntax.js";
import { enableTabs } from "./tabs.js";
import { tokenize } from "./tokens.js";

const ROOTS = ["query", "mutation", "subscription"];

class Explorer {
  constructor(root) {
    const find = (name) => root.querySelector(`[data-${name}]`);
    Object.assign(this, { root, find, address: root.dataset.endpoint, schema: null, running: new AbortController() });
    this.editor = new Editor(find("document"), find("highlight"));
    this.suggestions = new Suggestions(this.editor, find("suggestions"), find("suggestions-status"));
    this.form = new RequestForm(root, this.editor);
    this.showPanel = enableTabs(find("tabs"));
    this.answer = new AnswerPanel(root, (place) => this.editor.moveTo(place));
    this.history = new History(localStorageOrNull(), root.dataset.user);
    this.historyPanel = new HistoryPanel(root, this.history, ({ query, variables }) => this.form.write(query, variables));
  }

  start() {
    document.querySelector("[data-needs-javascript]").remove();
    this.root.hidden = false;
    this.find("run").addEventListener("click", () => this.run());
    this.find("format").addEventListener("click", () => this.editor.replace(format(this.editor.text)));
    this.find("copy-curl").addEventListener("click", () => this.copyAsCurl());
    this.root.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.suggestions.close();
      this.run();
    });
    document.querySelector("[data-graphiql]")?.addEventListener("click", (event) => this.#linkDocument(event.currentTarget));
    addEventListener("hashchange", () => this.#readFragment());
    if (!this.#readFragment()) this.#readHistory();
    if (this.root.dataset.introspection === "true") this.loadSchema();
  }

  /** Run the document; a request that is still running is canceled. */
  async run() {
    const request = this.form.read();
    if (!request) return;
    this.running.abort();
    this.running = new AbortController();
    this.showPanel("explorer-answer");
    this.answer.showRunning();
    this.history.add(request.query, request.variables ?? {});
    this.historyPanel.refresh();
    try {
      const response = await send(this.address, request, this.running.signal);
      this.answer.showResponse(response);
      if (errorsOf(response.body).length && !(await isSignedIn())) this.answer.showSessionEnded();
    } catch (error) {
      if (error.name !== "AbortError") this.answer.showUnreachable();
    }
  }

  /** Load what completion and documentation need. */
  async loadSchema() {
    const notice = this.find("schema-notice");
    try {
      const { body } = await send(this.address, { query: INTROSPECTION });
      if (!body?.data) throw new Error(errorsOf(body)[0]?.message ?? "");
      this.schema = this.editor.schema = new Schema(body.data);
    } catch (error) {
      notice.textContent = message("no-schema", { reason: error.message });
      return;
    }
    notice.hidden = true;
    this.find("docs-browser").hidden = false;
    this.docs = new DocsPanel(this.root, this.schema, (type, field) => this.insertField(type, field));
    this.editor.refresh();
  }

  async copyAsCurl() {
    const request = this.form.read();
    if (!request) return;
    const copied = await copy(curlCommand(new URL(this.address, location.origin).href, request));
    this.find("status").textContent = message(copied ? "copied" : "not-copied");
  }

  /** Insert a field at the cursor; a root field becomes an operation of its own, unless the cursor is beside its like. */
  insertField(type, field) {
    const { editor, schema } = this;
    const kind = ROOTS.find((each) => schema.root(each) === type);
    const expected = expectationAt(tokenize(editor.text), editor.offset, schema);
    if (kind && expected.type !== type) {
      const text = editor.text.trimEnd();
      editor.insert(`${text && "\n\n"}${operationFor(schema, kind, field)}`, text.length, editor.text.length);
      return;
    }
    const text = field.args ? selectionOf(schema, field) : field.type ? `${field.name}: ` : field.name;
    const before = /[\s({[:]$|^$/.test(editor.text.slice(0, editor.offset)) ? "" : " ";
    const after = /^(?:\s|$)/.test(editor.text.slice(editor.offset)) ? "" : " ";
    editor.insert(before + text + after);
  }

  /** Show the document in the address, which pages of the Studio link; return whether there is one. */
  #readFragment() {
    const values = new URLSearchParams(location.hash.slice(1));
    if (!values.get("query")) return false;
    this.form.start(values.get("query"), values.get("variables") ?? "");
    this.editor.textarea.addEventListener("input", forgetFragment, { once: true });
    return true;
  }

  /** Make a link lead to a page with the current document. */
  #linkDocument(link) {
    link.hash = new URLSearchParams({ query: this.editor.text, variables: this.form.variables.value }).toString();
  }

  #readHistory() {
    const [latest] = this.history.entries();
    if (latest) this.form.start(latest.query, latest.variables);
  }
}

/** Remove the document from the address, because the text is now another one. */
function forgetFragment() {
  if (location.hash) history.replaceState(history.state, "", location.pathname + location.search);
}

function localStorageOrNull() {
  try {
    return globalThis.localStorage;
  } catch {
    return null; // the user disabled it
  }
}

const root = document.querySelector("[data-explorer]");
if (root) new Explorer(root).start();
