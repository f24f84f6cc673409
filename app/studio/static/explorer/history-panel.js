// Lists the requests that the user ran, and loads them again.

import { button, element } from "./elements.js";
import { message } from "./messages.js";
import { operationsOf } from "./operations.js";

const MAX_TITLE = 60;

/** The panel with the history; `onChoose` is called with the chosen entry. */
export class HistoryPanel {
  constructor(root, history, onChoose) {
    this.list = root.querySelector("[data-history]");
    this.empty = root.querySelector("[data-history-empty]");
    this.clear = root.querySelector("[data-history-clear]");
    Object.assign(this, { history, onChoose });
    this.time = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });
    this.clear.addEventListener("click", () => {
      history.clear();
      this.refresh();
      this.empty.focus();
    });
    this.refresh();
  }

  /** Show the stored entries. */
  refresh() {
    const entries = this.history.entries();
    this.list.replaceChildren(...entries.map((entry) => this.#item(entry)));
    this.list.hidden = this.clear.hidden = entries.length === 0;
    this.empty.hidden = entries.length > 0;
  }

  #item(entry) {
    const choose = button({ class: "history-entry" }, () => this.onChoose(entry));
    choose.append(
      element("span", {}, titleOf(entry.query)),
      element("span", { class: "faint" }, this.time.format(new Date(entry.time))),
    );
    return element("li", {}, choose);
  }
}

/** Return the names of a document's operations, or its beginning if they have none. */
function titleOf(query) {
  const names = operationsOf(query).map(({ name }) => name);
  const title = names.length && names.every(Boolean) ? names.join(", ") : query.replace(/\s+/g, " ").trim();
  return title.length > MAX_TITLE ? `${title.slice(0, MAX_TITLE)}…` : title || message("empty-document");
}
