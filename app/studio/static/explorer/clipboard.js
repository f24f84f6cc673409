// Copies texts.

import { element } from "./elements.js";

/** Copy a text; return whether that worked. Without HTTPS browsers have no clipboard API, but the older command. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const previous = document.activeElement;
  const textarea = element("textarea", { class: "visually-hidden", "aria-hidden": "true", tabindex: "-1" });
  textarea.value = text;
  document.body.append(textarea);
  textarea.select();
  const copied = document.execCommand("copy");
  textarea.remove();
  previous?.focus();
  return copied;
}
