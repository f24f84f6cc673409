// Builds the presets of a permission: values of fields that a request leaves out.

import { button, element, labeled, select, suggestions } from "./builder-controls.js";
import { valueOfText } from "./rule-model.js";

/** The builder for presets: `onChange` is called with the new object after each change. */
export class PresetBuilder {
  constructor(container, vocabulary, collection, onChange) {
    Object.assign(this, { container, vocabulary, collection, onChange });
    this.texts = vocabulary.texts;
    this.fields = vocabulary.fields(collection).filter((field) => !field.many);
  }

  /** Show an object of values by field. */
  show(presets) {
    this.rows = Object.entries(presets ?? {});
    this.render();
  }

  /** Show that the JSON cannot be read, so that the builder has nothing to show. */
  showUnreadable() {
    this.container.replaceChildren(element("p", { class: "hint" }, this.texts.unreadable));
  }

  render(focus = document.activeElement?.dataset.control) {
    const rows = this.rows.map((row, index) => element("li", {}, this.rowElement(row, index)));
    const used = this.rows.map(([name]) => name);
    const free = this.fields.find(({ name }) => !used.includes(name));
    const add = () => {
      this.rows.push([free.name, free.kind === "boolean" ? true : ""]);
      this.changed(`preset.${this.rows.length - 1}.field`);
    };
    this.container.replaceChildren(
      rows.length > 0 ? element("ul", {}, rows) : element("p", { class: "hint" }, this.texts.nothing),
      element("div", { class: "rule-actions" }, free ? button("preset.add", this.texts.addPreset, add) : null),
    );
    if (focus) this.container.querySelector(`[data-control="${CSS.escape(focus)}"]`)?.focus();
  }

  changed(focus) {
    this.onChange(Object.fromEntries(this.rows));
    if (focus) this.render(focus);
  }

  rowElement(row, index) {
    const [name] = row;
    const others = this.rows.filter((other) => other !== row).map(([other]) => other);
    const options = this.fields.map((field) => [field.name, field.label, field.name]).filter(([other]) => !others.includes(other));
    if (!options.some(([other]) => other === name)) options.unshift([name, name]);
    const remove = () => {
      this.rows.splice(index, 1);
      this.changed("preset.add");
    };
    return element("div", { class: "rule-condition" }, [
      select(`preset.${index}.field`, this.texts.field, options, name, (chosen) => {
        row[0] = chosen;
        this.changed(`preset.${index}.field`);
      }),
      this.valueControl(row, index),
      button(`preset.${index}.remove`, this.texts.remove, remove, "quiet"),
    ]);
  }

  valueControl(row, index) {
    const value = row[1];
    const key = `preset.${index}.value`;
    if (typeof value === "object" && value !== null) {
      return element("span", {}, [element("code", {}, JSON.stringify(value)), " ", this.texts.jsonOnly]);
    }
    return typeof value === "boolean" ? this.booleanControl(row, key) : this.textControl(row, key);
  }

  booleanControl(row, key) {
    const options = [
      ["true", this.texts.yes],
      ["false", this.texts.no],
    ];
    return select(key, this.texts.value, options, String(row[1]), (text) => {
      row[1] = text === "true";
      this.changed();
    });
  }

  textControl(row, key) {
    const [name, value] = row;
    const field = this.fields.find((each) => each.name === name);
    const values = [...(field?.values ?? []), ...this.vocabulary.variables(field?.kind)];
    const list = suggestions(this.container, values);
    const input = element("input", { type: "text", "data-control": key, list, autocomplete: "off" });
    input.value = value ?? "null";
    input.addEventListener("input", () => {
      row[1] = input.value === "null" ? null : valueOfText(field?.kind, input.value);
      this.changed();
    });
    return labeled(this.texts.value, input);
  }
}
