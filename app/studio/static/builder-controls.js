// The controls that builders consist of.

/** Return an element with attributes and children: elements, texts, or nothing. */
export function element(name, attributes = {}, children = []) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) created.setAttribute(key, value);
  }
  created.append(...[children].flat(Infinity).filter((child) => child !== null && child !== ""));
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

/** Return the options of a list; those with a group come behind the others, below its name. */
function optionElements(options) {
  const groups = new Map([["", []]]);
  for (const [value, text, title, group = ""] of options) {
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(element("option", { value, title }, text || value));
  }
  return [...groups].map(([label, members]) => (label ? element("optgroup", { label }, members) : members));
}

/** Return a list of choices: each is a value and its text, and may have a title and the name of a group. */
export function select(key, label, options, selected, change) {
  const created = labeled(label, element("select", { "data-control": key }, optionElements(options)));
  created.value = selected;
  created.title = options.find(([value]) => value === selected)?.[2] ?? "";
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
