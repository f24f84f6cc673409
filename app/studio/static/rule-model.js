// Rules as a tree: groups of conditions, and what only JSON can say. The JSON of a rule is its only stored form.

const LOGICAL = ["_and", "_or"];
const QUANTIFIERS = ["_some", "_none"];
const NUMBER = /^-?\d{1,15}(\.\d+)?$/;
const NUMBER_KINDS = ["integer", "float"];

/** What the builder may offer: the fields, operators and variables that the server knows. */
export class Vocabulary {
  constructor(data, isForPayload) {
    this.data = data;
    this.isForPayload = isForPayload;
    this.texts = data.texts;
  }

  /** Return the fields of a collection that can be part of a rule. */
  fields(collection) {
    return (this.data.collections[collection] ?? []).filter((field) => !this.isForPayload || !field.isFunction);
  }

  field(collection, name) {
    return this.fields(collection).find((field) => field.name === name);
  }

  operator(name) {
    return this.data.operators.find((operator) => operator.name === name);
  }

  /** Return the operators that a field of this kind has. */
  operators(kind) {
    return this.data.operators.filter(
      (operator) => operator.kinds.includes(kind) && (this.isForPayload || !operator.payloadOnly),
    );
  }

  variables(kind) {
    return this.data.variables[kind] ?? [];
  }

  /** Return the steps of a path, each with its collection and field; null if the path leads nowhere. */
  steps(collection, path) {
    const steps = [];
    let current = collection;
    let isAfterMany = false;
    for (const name of path) {
      const isQuantifier = QUANTIFIERS.includes(name) && isAfterMany;
      const field = isQuantifier ? null : this.field(current, name);
      if (!isQuantifier && !field) return null;
      steps.push({ name, collection: current, field, isQuantifier });
      if (field) current = field.target;
      isAfterMany = Boolean(field?.many);
    }
    return steps;
  }

  /** Return whether the path can lead further from its last step, and what can follow. */
  nextSteps(collection, path) {
    const last = this.steps(collection, path)?.at(-1);
    const target = last?.isQuantifier ? last.collection : last?.field?.target;
    if (!target || this.isForPayload) return null;
    return { collection: target, quantifiers: last.field?.many ? QUANTIFIERS : [] };
  }

  /** Return the field whose value a path leads to; null if it ends at a quantifier. */
  lastField(collection, path) {
    return this.steps(collection, path)?.at(-1)?.field ?? null;
  }
}

/** Return the tree of a rule; its root is always a group. */
export function parseRule(vocabulary, collection, value) {
  const node = parseObject(vocabulary, collection, value);
  return node.type === "group" ? node : { type: "group", operator: "_and", children: [node] };
}

function parseObject(vocabulary, collection, value) {
  if (!isObject(value)) return { type: "json", value };
  const nodes = Object.entries(value).flatMap(([name, inner]) => parseEntry(vocabulary, collection, name, inner));
  return nodes.length === 1 ? nodes[0] : { type: "group", operator: "_and", children: nodes };
}

function parseEntry(vocabulary, collection, name, inner) {
  if (LOGICAL.includes(name) && Array.isArray(inner)) {
    const children = inner.map((part) => parseObject(vocabulary, collection, part));
    return [{ type: "group", operator: name, children }];
  }
  const conditions = [];
  const isReadable = collectConditions(vocabulary, collection, [name], inner, conditions, false);
  return isReadable && conditions.length > 0 ? conditions : [{ type: "json", value: { [name]: inner } }];
}

/**
 * Collect the conditions below a path; return whether all can be shown.
 *
 * Several conditions on the rows of a to-many relation are about the same row, so that they cannot be separated.
 */
function collectConditions(vocabulary, collection, path, value, conditions, isAfterMany) {
  if (!vocabulary.steps(collection, path)) return false;
  const field = vocabulary.lastField(collection, path);
  const operators = isObject(value) ? value : { _eq: value };
  const entries = Object.entries(operators);
  const isMany = isAfterMany || Boolean(field?.many);
  if (entries.length === 0 || (isMany && entries.length > 1)) return false;
  return entries.every(([name, inner]) => {
    const operator = field && vocabulary.operator(name);
    if (!operator) return collectConditions(vocabulary, collection, [...path, name], inner, conditions, isMany);
    conditions.push({ type: "condition", path, operator: name, value: inner });
    return vocabulary.operators(field.kind).includes(operator) && isPlain(operator.arity, inner);
  });
}

/** Return whether the builder has controls for an operator's value. */
function isPlain(arity, value) {
  if (arity === "flag") return value === true || value === "true";
  if (arity === "one") return !isObject(value) && !Array.isArray(value);
  const items = Array.isArray(value) ? value : String(value).split(",");
  const hasCommas = Array.isArray(value) && value.some((item) => String(item).includes(","));
  const areScalars = items.every((item) => typeof item !== "object");
  return areScalars && !hasCommas && (arity === "many" || items.length === 2);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Return the rule of a tree. */
export function ruleOf(root) {
  if (root.children.length === 0) return {};
  return root.operator === "_and" && root.children.length === 1 ? jsonOf(root.children[0]) : jsonOf(root);
}

function jsonOf(node) {
  if (node.type === "json") return node.value;
  if (node.type === "group") return { [node.operator]: node.children.map(jsonOf) };
  return node.path.reduceRight((inner, name) => ({ [name]: inner }), { [node.operator]: node.value });
}

/** Return whether some part of a tree is shown as JSON only. */
export function hasJsonOnly(node) {
  return node.type === "json" || (node.type === "group" && node.children.some(hasJsonOnly));
}

/** Return the value that a text in a control stands for. */
export function valueOfText(kind, text) {
  return NUMBER_KINDS.includes(kind) && NUMBER.test(text) ? Number(text) : text;
}

/** Return the value that an operator starts with, or keeps of the one before. */
export function initialValue(operator, kind, previous) {
  const items = Array.isArray(previous) ? previous : [previous];
  const texts = items.filter((item) => ["string", "number"].includes(typeof item));
  switch (operator.arity) {
    case "flag":
      return true;
    case "many":
      return texts;
    case "pair":
      return [texts[0] ?? "", texts[1] ?? ""];
    default:
      return kind === "boolean" ? true : (texts[0] ?? "");
  }
}
