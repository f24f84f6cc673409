// Shows the answer to a request: its status, its duration, its errors with links to their places, and its JSON.

import { button, element } from "./elements.js";
import { showJson } from "./highlighting.js";
import { message } from "./messages.js";
import { errorsOf } from "./requests.js";

/** The panel with the answer; `onPlace` is called with the line and column of an error. */
export class AnswerPanel {
  constructor(root, onPlace) {
    this.status = root.querySelector("[data-answer-status]");
    this.errors = root.querySelector("[data-answer-errors]");
    this.sessionEnded = root.querySelector("[data-session-ended]");
    this.code = root.querySelector("[data-answer]");
    this.onPlace = onPlace;
  }

  showRunning() {
    this.#show(message("running"), []);
  }

  showUnreachable() {
    this.#show(message("unreachable"), []);
    this.code.textContent = "";
  }

  /** Show a response as `send` returns it. */
  showResponse({ status, milliseconds, text, body }) {
    const errors = errorsOf(body);
    const summary = message(errors.length ? "answer-with-errors" : "answer", { status, milliseconds, count: errors.length });
    this.#show(summary, errors);
    this.status.classList.toggle("error", errors.length > 0 || status >= 400);
    showJson(this.code, body === undefined ? text : JSON.stringify(body, null, 2));
  }

  /** Say that the session has ended: without it, the server answers as it answers visitors. */
  showSessionEnded() {
    this.sessionEnded.hidden = false;
  }

  #show(summary, errors) {
    this.status.classList.remove("error");
    this.status.textContent = summary;
    this.sessionEnded.hidden = true;
    this.errors.replaceChildren(...errors.map((error) => this.#errorEntry(error)));
    this.errors.hidden = errors.length === 0;
  }

  #errorEntry({ message: text, locations }) {
    const places = (locations ?? []).map((place) =>
      button({ class: "link-button" }, () => this.onPlace(place), message("place", place)),
    );
    return element("li", {}, String(text), " ", ...places);
  }
}
