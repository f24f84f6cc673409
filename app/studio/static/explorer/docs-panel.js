// Browses the schema: root fields, types, and a search over both.

import { button, element } from "./elements.js";
import { message } from "./messages.js";
import { isRequired, namedType, printType } from "./schema.js";

const ROOTS = ["query", "mutation", "subscription"];

/** The panel with the documentation; `onInsert` is called with the type and the field to insert. */
export class DocsPanel {
  constructor(root, schema, onInsert) {
    this.content = root.querySelector("[data-docs]");
    this.search = root.querySelector("[data-docs-search]");
    Object.assign(this, { schema, onInsert, visited: [] });
    this.search.addEventListener("input", () => this.#refresh());
    this.#refresh();
  }

  #refresh() {
    const type = this.visited[this.visited.length - 1];
    if (this.search.value.trim()) this.content.replaceChildren(...this.#searchResult());
    else this.content.replaceChildren(...(type ? this.#typePage(type) : this.#startPage()));
  }

  #startPage() {
    const roots = ROOTS.map((kind) => [kind, this.schema.root(kind)]).filter(([, type]) => type);
    return roots.flatMap(([kind, type]) => [
      element("h2", {}, message(`docs-${kind}`)),
      this.#members(type, type.fields, "ul"),
    ]);
  }

  #typePage(type) {
    const back = button({ class: "button quiet small" }, () => this.#goBack(), message("back"));
    const heading = element("h2", { tabindex: "-1" }, type.name);
    const parts = [back, heading];
    if (type.description) parts.push(element("p", { class: "hint" }, type.description));
    const members = type.fields ?? type.inputFields ?? type.enumValues;
    if (members?.length) parts.push(this.#members(type, members));
    if (type.possibleTypes) {
      parts.push(element("ul", { class: "docs-list" }, ...type.possibleTypes.map((each) => element("li", {}, this.#typeLink(each)))));
    }
    return parts;
  }

  #searchResult() {
    const found = this.schema.search(this.search.value);
    if (!found.length) return [element("p", { class: "hint" }, message("nothing-found"))];
    const items = found.map(({ type, field }) =>
      field ? this.#member(type, field, true) : element("li", {}, this.#typeLink({ name: type.name })),
    );
    return [element("ul", { class: "docs-list" }, ...items)];
  }

  #members(type, members) {
    return element("ul", { class: "docs-list" }, ...members.map((member) => this.#member(type, member)));
  }

  /** Return the entry of a field, an input field or an enum value. */
  #member(type, member, withType = false) {
    const label = message("insert", { name: member.name });
    const insert = button({ class: "link-button", title: label }, () => this.onInsert(type, member), member.name);
    if (member.isDeprecated) insert.classList.add("deprecated");
    const entry = element("li", {}, element("code", {}, insert));
    if (member.type) entry.append(": ", this.#typeLink(member.type));
    if (withType) entry.append(" ", element("span", { class: "faint" }, message("in-type", { type: type.name })));
    const note = member.isDeprecated ? member.deprecationReason : member.description;
    if (note) entry.append(element("p", { class: "hint" }, note));
    if (member.args?.length) entry.append(this.#argumentsOf(member.args));
    return entry;
  }

  #argumentsOf(inputs) {
    const items = inputs.map((input) => {
      const name = element("code", {}, isRequired(input) ? `${input.name} *` : input.name);
      return element("li", {}, name, ": ", this.#typeLink(input.type));
    });
    const summary = element("summary", {}, message("arguments", { count: inputs.length }));
    return element("details", {}, summary, element("ul", { class: "docs-list" }, ...items));
  }

  #typeLink(reference) {
    const type = this.schema.types.get(namedType(reference));
    return element("code", {}, button({ class: "link-button type-link" }, () => this.#visit(type), printType(reference)));
  }

  #visit(type) {
    this.search.value = "";
    this.visited.push(type);
    this.#refresh();
    this.content.querySelector("h2")?.focus();
  }

  #goBack() {
    this.visited.pop();
    this.#refresh();
    (this.content.querySelector("h2[tabindex]") ?? this.search).focus();
  }
}
