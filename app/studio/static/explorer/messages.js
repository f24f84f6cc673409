// The texts of the explorer in the language of the page: the server renders them into elements with `data-message`.

/** Return a text with its placeholders, such as `{name}`, replaced. */
export function message(name, values = {}) {
  const text = document.querySelector(`[data-message="${name}"]`)?.textContent ?? name;
  return text.replace(/\{(\w+)\}/g, (placeholder, key) => String(values[key] ?? placeholder));
}
