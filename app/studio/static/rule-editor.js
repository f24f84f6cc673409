// The page of a permission: builders above its JSON fields, and the rows that its rule matches while one types.

import { fetchPage } from "./fragments.js";
import { PresetBuilder } from "./preset-builder.js";
import { RuleBuilder } from "./rule-builder.js";
import { hasJsonOnly, Vocabulary } from "./rule-model.js";
import { improve } from "./studio.js";

const PAUSE_MILLISECONDS = 400;

/** Show the rows that the form's rule matches whenever it has changed. */
function enablePreview(form) {
  const address = form.querySelector("[data-preview]")?.formAction;
  let timer = 0;
  let controller = new AbortController();

  async function update() {
    controller.abort();
    controller = new AbortController();
    try {
      const options = { method: "POST", body: new URLSearchParams(new FormData(form)), signal: controller.signal };
      const { page } = await fetchPage(address, "preview", options);
      const part = page.getElementById("preview");
      if (!part) return;
      document.getElementById("preview").replaceWith(document.adoptNode(part));
      improve(part);
    } catch (error) {
      if (error.name !== "AbortError") console.warn("preview", error.message);
    }
  }

  function schedule() {
    clearTimeout(timer);
    timer = setTimeout(update, PAUSE_MILLISECONDS);
  }

  if (!address) return;
  form.elements.permissions.addEventListener("input", schedule);
  form.querySelector("[data-preview]").addEventListener("click", (event) => {
    event.preventDefault();
    update();
  });
  update();
}

// Numbers with more digits than a JavaScript number has would be changed
const LONG_NUMBER = /[:[,\s]-?\d{16,}/;

/** Return the value of a JSON field: an object, empty if the field is; null if a builder cannot show it. */
function valueOf(textarea) {
  if (LONG_NUMBER.test(textarea.value)) return null;
  try {
    const value = JSON.parse(textarea.value.trim() || "{}");
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** Show a builder above a JSON field; both always show the same value. */
function enableBuilder(container, data) {
  const textarea = container.parentElement.querySelector("textarea");
  const details = textarea.closest("details");
  const vocabulary = new Vocabulary(data, container.dataset.builder === "validation");
  const Builder = container.dataset.builder === "presets" ? PresetBuilder : RuleBuilder;
  const builder = new Builder(container, vocabulary, container.dataset.collection, (value) => {
    textarea.value = Object.keys(value).length > 0 ? JSON.stringify(value, null, 2) : "";
    textarea.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const show = () => {
    const value = valueOf(textarea);
    if (value) builder.show(value);
    else builder.showUnreadable();
  };
  builder.isRejected = textarea.hasAttribute("aria-invalid");
  textarea.addEventListener("input", (event) => {
    if (event.isTrusted) show();
  });
  show();
  container.hidden = false;
  const isComplete = valueOf(textarea) && !(builder.root && hasJsonOnly(builder.root));
  details.open = !isComplete || textarea.hasAttribute("aria-invalid");
}

/** Select the line that the message of an invalid field names. */
function selectLine(details) {
  const textarea = details.querySelector("textarea");
  const lines = textarea.value.split("\n");
  const before = lines.slice(0, Number(details.dataset.errorLine) - 1);
  const start = before.reduce((length, line) => length + line.length + 1, 0);
  textarea.setSelectionRange(start, start + (lines[before.length] ?? "").length);
}

async function enableEditor(form) {
  enablePreview(form);
  for (const details of form.querySelectorAll("details[data-error-line]")) selectLine(details);
  const response = await fetch(form.dataset.vocabulary, { credentials: "same-origin" });
  if (!response.ok) return;
  const data = await response.json();
  for (const container of form.querySelectorAll("[data-builder]")) enableBuilder(container, data);
}

for (const form of document.querySelectorAll("form[data-rule-editor]")) enableEditor(form);
