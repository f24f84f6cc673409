// The controls that builders consist of.

/** Return an element with attributes and children: elements, texts, or nothing. */
export function element(name, attributes = {}, children = []) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) created.setAttribute(key, value);
  }
  created.append(...[children].flat().filter((child) => child !== null && child !== ""));
  return created;
}

/** Return a control with a label for screen readers. */
export function labeled(label, control) {
  control.setAttribute("aria-label", label);
  if (control.tagName === "INPUT") control.setAttribute("placeholder", label);
  return control;
}

/** Return a button; `key` finds it again after the builder has been rendered anew. */
export function button(key, label, action, style = "") {
  const attributes = { type: "button", class: `button small ${style}`.trim(), "data-control": key };
  const created = element("button", attributes, label);
  created.addEventListener("click", action);
  return created;
}

/** Return a list of choices, which are pairs of a value and its text. */
export function select(key, label, options, selected, change) {
  const choices = options.map(([value, text]) => element("option", { value }, text || value));
  const created = labeled(label, element("select", { "data-control": key }, choices));
  created.value = selected;
  created.addEventListener("change", () => change(created.value));
  return created;
}

/** Return the id of a list of suggestions, which is added to the page once; null if there are none. */
export function suggestions(container, values) {
  if (values.length === 0) return null;
  const name = `suggestions-${values.join("-").replace(/[^\w-]/g, "_")}`;
  if (!document.getElementById(name)) {
    const list = element("datalist", { id: name }, values.map((value) => element("option", { value })));
    container.parentElement.append(list);
  }
  return name;
}
