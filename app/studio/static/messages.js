// The translated texts of scripts, which the server renders as JSON into an attribute: <div data-messages='{"done": "Done"}'>.

/**
 * Return a function that gives the text with a name, `{placeholders}` filled in from `values`.
 *
 * A text may also be an object with one text for each plural category, such as `one` and `other`, of `values.count`.
 */
export function messagesOf(element) {
  const texts = JSON.parse(element.dataset.messages);
  const plurals = new Intl.PluralRules(document.documentElement.lang);
  return (name, values = {}) => {
    let text = texts[name];
    if (typeof text === "object") text = text[plurals.select(values.count)] ?? text.other;
    return text.replace(/\{(\w+)\}/g, (placeholder, key) => values[key] ?? placeholder);
  };
}
