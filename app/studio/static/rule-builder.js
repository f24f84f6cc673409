// Builds rules from rows of controls; every change is written into the JSON that the form submits.

import { button, element, labeled, select, suggestions } from "./builder-controls.js";
import { initialValue, parseRule, ruleOf, valueOfText } from "./rule-model.js";

/** The builder for one rule: `onChange` is called with the new rule after each change. */
export class RuleBuilder {
  constructor(container, vocabulary, collection, onChange) {
    Object.assign(this, { container, vocabulary, collection, onChange });
    this.texts = vocabulary.texts;
  }

  /** Show a rule. */
  show(rule) {
    this.root = parseRule(this.vocabulary, this.collection, rule);
    this.render();
  }

  /** Show that the JSON cannot be read, so that the builder has nothing to show. */
  showUnreadable() {
    this.container.replaceChildren(element("p", { class: "hint" }, this.texts.unreadable));
  }

  /** Show the tree again and keep the focus, by the name of the control that has it. */
  render(focus = document.activeElement?.dataset.control) {
    this.container.replaceChildren(this.groupElement(this.root, "rule", null));
    if (focus) this.container.querySelector(`[data-control="${CSS.escape(focus)}"]`)?.focus();
  }

  /** Write the tree into the JSON, and show it again if its controls have changed. */
  changed(focus) {
    this.onChange(ruleOf(this.root));
    if (focus) this.render(focus);
  }

  groupElement(group, key, remove) {
    const isNested = remove !== null;
    const everything = this.vocabulary.isForPayload ? this.texts.anything : this.texts.everything;
    const children = group.children.map((child, index) => {
      const removeChild = () => {
        group.children.splice(index, 1);
        this.changed(`${key}.add`);
      };
      return element("li", {}, this.nodeElement(child, `${key}.${index}`, removeChild));
    });
    return element("fieldset", { class: isNested ? "rule-group nested" : "rule-group" }, [
      element("legend", { class: "visually-hidden" }, this.texts.group),
      children.length > 1 || isNested ? this.matchControl(group, key) : null,
      children.length > 0 ? element("ul", {}, children) : element("p", { class: "hint" }, isNested ? "" : everything),
      this.groupActions(group, key, remove),
    ]);
  }

  matchControl(group, key) {
    const options = [
      ["_and", this.texts.all],
      ["_or", this.texts.any],
    ];
    return select(`${key}.match`, this.texts.match, options, group.operator, (value) => {
      group.operator = value;
      this.changed();
    });
  }

  groupActions(group, key, remove) {
    const add = (child) => {
      group.children.push(child);
      this.changed(`${key}.${group.children.length - 1}.${child.type === "group" ? "add" : "path.0"}`);
    };
    return element("div", { class: "rule-actions" }, [
      button(`${key}.add`, this.texts.addCondition, () => add(this.newCondition())),
      button(`${key}.addGroup`, this.texts.addGroup, () => add({ type: "group", operator: "_or", children: [] })),
      remove ? button(`${key}.remove`, this.texts.remove, remove, "quiet") : null,
    ]);
  }

  nodeElement(node, key, remove) {
    if (node.type === "group") return this.groupElement(node, key, remove);
    if (node.type === "condition") return this.conditionElement(node, key, remove);
    const json = JSON.stringify(node.value);
    return element("div", { class: "rule-condition" }, [
      element("code", {}, json),
      element("span", { class: "hint" }, this.texts.jsonOnly),
      button(`${key}.remove`, this.texts.remove, remove, "quiet"),
    ]);
  }

  conditionElement(condition, key, remove) {
    const field = this.vocabulary.lastField(this.collection, condition.path);
    return element("div", { class: "rule-condition" }, [
      ...this.pathControls(condition, key),
      field ? this.operatorControl(condition, key, field) : null,
      field ? this.valueControl(condition, key, field) : null,
      button(`${key}.remove`, this.texts.remove, remove, "quiet"),
    ]);
  }

  /** Return a control for each step of a path, and one for a further step behind a relation. */
  pathControls(condition, key) {
    const steps = this.vocabulary.steps(this.collection, condition.path);
    const controls = steps.map((step, index) => {
      const before = condition.path.slice(0, index);
      const start = { collection: this.collection, quantifiers: [] };
      const next = index === 0 ? start : this.vocabulary.nextSteps(this.collection, before);
      return this.stepControl(condition, key, index, next, step.name);
    });
    const further = this.vocabulary.nextSteps(this.collection, condition.path);
    return further ? [...controls, this.stepControl(condition, key, steps.length, further, "")] : controls;
  }

  stepControl(condition, key, index, { collection, quantifiers }, selected) {
    const before = condition.path.slice(0, index);
    const canEnd = index > 0 && this.vocabulary.lastField(this.collection, before);
    const words = { _some: this.texts.some, _none: this.texts.none };
    const options = [
      ...(canEnd ? [["", this.texts.itself]] : []),
      ...quantifiers.map((name) => [name, words[name]]),
      ...this.vocabulary.fields(collection).map(({ name, label, isFunction }) => [
        name,
        label,
        name,
        isFunction ? this.texts.functions : "",
      ]),
    ];
    return select(`${key}.path.${index}`, this.texts.field, options, selected, (name) => {
      this.setPath(condition, name ? [...before, name] : before);
      this.changed(`${key}.path.${index}`);
    });
  }

  /** Set the path of a condition, with an operator that its field has; a quantifier needs a field behind it. */
  setPath(condition, path) {
    condition.path = path;
    if (!this.vocabulary.lastField(this.collection, path)) {
      const { collection } = this.vocabulary.nextSteps(this.collection, path);
      condition.path = [...path, this.vocabulary.fields(collection)[0].name];
    }
    const { kind } = this.vocabulary.lastField(this.collection, condition.path);
    const operators = this.vocabulary.operators(kind);
    const operator = operators.find(({ name }) => name === condition.operator) ?? operators[0];
    condition.operator = operator.name;
    condition.value = initialValue(operator, kind, condition.value);
  }

  newCondition() {
    const condition = { type: "condition", path: [], operator: "_eq", value: "" };
    const fields = this.vocabulary.fields(this.collection);
    this.setPath(condition, [(fields.find(({ values }) => values) ?? fields[0]).name]);
    return condition;
  }

  operatorControl(condition, key, { kind }) {
    const options = this.vocabulary.operators(kind).map(({ name, label }) => [name, label, name]);
    return select(`${key}.operator`, this.texts.operator, options, condition.operator, (name) => {
      condition.operator = name;
      condition.value = initialValue(this.vocabulary.operator(name), kind, condition.value);
      this.changed(`${key}.operator`);
    });
  }

  valueControl(condition, key, field) {
    const { arity } = this.vocabulary.operator(condition.operator);
    if (arity === "flag") return null;
    if (arity === "pair") return this.pairControl(condition, key, field);
    if (typeof condition.value === "boolean") return this.booleanControl(condition, key);
    if (field.values && ["_eq", "_neq"].includes(condition.operator)) return this.choiceControl(condition, key, field);
    const isList = arity === "many";
    const shown = isList && Array.isArray(condition.value) ? condition.value.join(", ") : condition.value;
    return this.textControl(`${key}.value`, isList ? this.texts.values : this.texts.value, field, shown, (text) => {
      const parts = text.split(",").map((part) => part.trim()).filter((part) => part !== "");
      condition.value = isList ? parts.map((part) => valueOfText(field.kind, part)) : valueOfText(field.kind, text);
    });
  }

  pairControl(condition, key, field) {
    const items = Array.isArray(condition.value) ? [...condition.value] : String(condition.value).split(",");
    const controls = [this.texts.from, this.texts.to].map((label, index) =>
      this.textControl(`${key}.value.${index}`, label, field, items[index], (text) => {
        items[index] = valueOfText(field.kind, text);
        condition.value = items;
      }),
    );
    return element("span", { class: "rule-pair" }, controls);
  }

  booleanControl(condition, key) {
    const options = [
      ["true", this.texts.yes],
      ["false", this.texts.no],
    ];
    return select(`${key}.value`, this.texts.value, options, String(condition.value), (text) => {
      condition.value = text === "true";
      this.changed();
    });
  }

  /** Return a list of the known values of a field; a stored value that is none of them is kept. */
  choiceControl(condition, key, { values }) {
    const current = condition.value ?? "null";
    const known = ["", ...values];
    const options = (known.includes(current) ? known : [...known, current]).map((value) => [
      value,
      value || this.texts.chooseValue,
    ]);
    const control = select(`${key}.value`, this.texts.value, options, current, (value) => {
      condition.value = value;
      this.changed();
    });
    return this.withError(control);
  }

  /** Return a control, with an error if the server rejected the rule and the control is empty. */
  withError(control) {
    if (!this.isRejected || control.value !== "") return control;
    control.setAttribute("aria-invalid", "true");
    return [control, element("span", { class: "error" }, this.texts.enterValue)];
  }

  textControl(key, label, field, value, change) {
    const list = suggestions(this.container, [...(field.values ?? []), ...this.vocabulary.variables(field.kind)]);
    const attributes = { type: "text", "data-control": key, list, autocomplete: "off", spellcheck: "false" };
    const input = element("input", attributes);
    input.value = value ?? "null";
    input.addEventListener("input", () => {
      change(input.value);
      this.changed();
    });
    return this.withError(labeled(label, input));
  }
}
