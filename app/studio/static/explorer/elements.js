// Creates elements. Texts are never parsed as HTML.

/** Return an element with these attributes and children; children that are texts become text nodes. */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) created.setAttribute(attribute, value === true ? "" : value);
  }
  created.append(...children);
  return created;
}

/** Return a button that calls a function. */
export function button(attributes, onClick, ...children) {
  const created = element("button", { type: "button", ...attributes }, ...children);
  created.addEventListener("click", onClick);
  return created;
}
