// The list of suggestions at the cursor: the focus stays in the editor, which names the active one.

import { complete } from "./completion.js";
import { element } from "./elements.js";
import { message } from "./messages.js";

const MAX_ITEMS = 100;
const PAGE = 8;
const GAP = 4;
const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE };

/** Suggests completions for an editor in a listbox. */
export class Suggestions {
  constructor(editor, list, status) {
    Object.assign(this, { editor, list, status, completion: null, active: 0 });
    const { textarea } = editor;
    textarea.addEventListener("keydown", (event) => this.#onKey(event), { capture: true }); // before the editor
    textarea.addEventListener("input", (event) => this.#onInput(event));
    textarea.addEventListener("blur", () => this.close());
    textarea.addEventListener("pointerdown", () => this.close());
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.#accept(Number(option.dataset.index));
    });
  }

  get isOpen() {
    return !this.list.hidden;
  }

  /** Show what may come at the cursor. */
  open() {
    const { editor } = this;
    this.completion = complete(editor.text, editor.offset, editor.schema);
    this.completion.items = this.completion.items.slice(0, MAX_ITEMS);
    if (this.completion.items.length === 0) {
      this.close();
      this.status.textContent = message("no-suggestions");
      return;
    }
    this.list.replaceChildren(...this.completion.items.map((item, index) => optionFor(item, index)));
    this.list.hidden = false;
    this.#place();
    this.#activate(0);
    this.status.textContent = message("suggestions", { count: this.completion.items.length });
  }

  close() {
    this.list.hidden = true;
    this.status.textContent = "";
    this.editor.textarea.removeAttribute("aria-activedescendant");
  }

  #onInput(event) {
    const { editor } = this;
    const { prefix, items } = complete(editor.text, editor.offset, editor.schema);
    const isTyped = event.inputType === "insertCompositionText" || /^[\w$@]$/.test(event.data ?? "");
    const isFinished = items.length === 1 && items[0].name === prefix;
    if (prefix && !isFinished && items.length && (isTyped || this.isOpen)) this.open();
    else this.close();
  }

  #onKey(event) {
    if (event.isComposing) return;
    if (event.code === "Space" && event.ctrlKey) {
      event.preventDefault();
      this.open();
    } else if (this.isOpen) this.#onKeyWhileOpen(event);
  }

  #onKeyWhileOpen(event) {
    if (event.key in STEPS) {
      const last = this.completion.items.length - 1;
      const index = this.active + STEPS[event.key];
      this.#activate(Math.abs(STEPS[event.key]) === 1 ? (index + last + 1) % (last + 1) : Math.min(Math.max(index, 0), last));
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      if (this.completion.items[this.active].name === this.completion.prefix) {
        this.close();
        return;
      }
      this.#accept(this.active);
    } else if (event.key === "Escape") this.close();
    else {
      if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) this.close();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #accept(index) {
    const { start, end, items } = this.completion;
    this.editor.insert(items[index].name, start, end);
    this.close();
  }

  #activate(index) {
    this.list.children[this.active]?.setAttribute("aria-selected", "false");
    this.active = index;
    const option = this.list.children[index];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.editor.textarea.setAttribute("aria-activedescendant", option.id);
  }

  /** Put the list below the first replaced character, inside of the frame. */
  #place() {
    const frame = this.list.parentElement.getBoundingClientRect();
    const at = this.editor.rectangleAt(this.completion.start);
    const left = Math.max(0, Math.min(at.left - frame.left, frame.width - this.list.offsetWidth));
    this.list.style.left = `${left}px`;
    this.list.style.top = `${at.bottom - frame.top + GAP}px`;
  }
}

function optionFor({ name, detail, deprecated }, index) {
  return element(
    "li",
    { role: "option", id: `suggestion-${index}`, "data-index": index, "aria-selected": "false" },
    element("span", { class: deprecated ? "deprecated" : undefined }, name),
    element("span", { class: "faint" }, detail ?? ""),
  );
}
