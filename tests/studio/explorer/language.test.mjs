// Tokens, roles, completion, operations and format of documents.

import assert from "node:assert/strict";
import { test } from "node:test";

import { complete } from "./explorer/completion.js";
import { format } from "./explorer/format.js";
import { operationAt, operationsOf } from "./explorer/operations.js";
import { withRoles } from "./explorer/syntax.js";
import { isIgnored, tokenize } from "./explorer/tokens.js";
import { schema } from "./schema.mjs";

const DOCUMENT = `# Users
query Users($limit: Int = 5, $on: [String!]!) @cached {
  people: users(limit: $limit, filter: { email: { is_locked: true }, _and: [{}, {}] }) {
    id ... on user @include(if: true) { email } ...Rest
  }
}
mutation Delete { delete_user }
fragment Rest on user { role { name } }`;

/** Return the names that are suggested at the `|` of a document. */
function suggested(marked) {
  const offset = marked.indexOf("|");
  return complete(marked.replace("|", ""), offset, schema).items.map(({ name }) => name);
}

function roleOf(text, name) {
  return withRoles(tokenize(text), schema).find((token) => token.text === name)?.role;
}

test("tokens are the whole text, whatever it is", () => {
  for (const text of [DOCUMENT, "", '"open', '"""open "" ', "ä ..{ \\ $ @ -", '"""a\\"""b"""', "👤"]) {
    assert.equal(tokenize(text).map((token) => token.text).join(""), text);
  }
});

test("a block string is one token", () => {
  assert.deepEqual(tokenize('"""a "quoted" \\""" b"""').map(({ type }) => type), ["string"]);
});

test("each name has the role of its place", () => {
  const roles = { query: "keyword", Users: "definition", people: "alias", users: "field", limit: "argument" };
  Object.assign(roles, { Int: "type", true: "literal", $limit: "variable", "@cached": "directive", Rest: "fragment" });
  for (const [name, role] of Object.entries(roles)) assert.equal(roleOf(DOCUMENT, name), role, name);
});

test("a document that follows the schema has no unknown name", () => {
  assert.deepEqual(withRoles(tokenize(DOCUMENT), schema).filter(({ role }) => role === "unknown"), []);
});

test("unknown fields and arguments are found, but only with a schema", () => {
  assert.equal(roleOf("{ users { name } }", "name"), "unknown");
  assert.equal(roleOf("{ users(size: 1) { id } }", "size"), "unknown");
  assert.equal(withRoles(tokenize("{ anything }"))[2].role, "field");
});

test("completion knows the fields of each selection", () => {
  assert.deepEqual(suggested("{ | }"), ["users", "users_by_id", "__typename"]);
  assert.deepEqual(suggested("query Users { users { em| } }"), ["email"]);
  assert.deepEqual(suggested("{ users { role { | } } }"), ["id", "name", "__typename"]);
  assert.deepEqual(suggested("{ users { role { id } | } }"), ["id", "email", "role", "__typename"]);
  assert.deepEqual(suggested("mutation { del| }"), ["delete_user"]);
  assert.deepEqual(suggested("{ users { ... on role { na| } } }"), ["name", "__typename"]);
  assert.deepEqual(suggested("{ users { ... @include(if: true) { em| } } }"), ["email"]);
  assert.deepEqual(suggested("fragment F on role { na| }"), ["name", "__typename"]);
});

test("completion knows arguments, input fields and values", () => {
  assert.deepEqual(suggested("{ users(| ) { id } }"), ["filter", "limit", "status"]);
  assert.deepEqual(suggested("{ users(limit: 1, st|) { id } }"), ["status"]);
  assert.deepEqual(suggested("{ users(filter: { | }) { id } }"), ["email", "_and", "is_locked"]);
  assert.deepEqual(suggested("{ users(filter: { _and: [{ is| }] }) { id } }"), ["is_locked"]);
  assert.deepEqual(suggested("{ users(filter: { is_locked: | }) { id } }"), ["true", "false"]);
  assert.deepEqual(suggested("{ users(status: a|) { id } }"), ["active", "archived"]);
  assert.deepEqual(suggested("query ($limit: Int) { users(limit: $|) { id } }"), ["$limit"]);
  assert.deepEqual(suggested("{ users @in| { id } }"), ["@include"]);
  assert.deepEqual(suggested("{ users @include(|) { id } }"), ["if"]);
});

test("completion knows keywords, types and fragments", () => {
  assert.deepEqual(suggested("|"), ["query", "mutation", "fragment"]);
  assert.deepEqual(suggested("query Q($id: In|) { id }"), ["Int", "String"]);
  assert.deepEqual(suggested("fragment F on us|"), ["user"]);
  assert.deepEqual(suggested("{ users { ...| } } fragment Rest on user { id }"), ["on", "Rest"]);
});

test("nothing is suggested in texts, comments, and for names that are new", () => {
  for (const marked of ['{ users(filter: "em|ail") { id } }', "# us|", "query Us|", "fragment F|", "query Q(|)"]) {
    assert.deepEqual(suggested(marked), [], marked);
  }
});

test("without a schema completion suggests what the document has", () => {
  assert.deepEqual(complete("{ ... }  fragment Rest on user { id }", 5, null).items.map(({ name }) => name), ["on", "Rest"]);
  assert.deepEqual(complete("{ us", 4, null).items, []);
});

test("completion replaces the whole name under the cursor", () => {
  const { start, end, prefix } = complete("{ users }", 4, schema);
  assert.deepEqual([start, end, prefix], [2, 7, "us"]);
});

test("the operations of a document are found by name and by offset", () => {
  const operations = operationsOf(DOCUMENT);
  assert.deepEqual(operations.map(({ kind, name }) => [kind, name]), [["query", "Users"], ["mutation", "Delete"]]);
  assert.equal(operationAt(operations, DOCUMENT.indexOf("delete_user")).name, "Delete");
  assert.equal(operationAt(operations, 0).name, "Users");
  assert.deepEqual(operationsOf("{ query }").map(({ name }) => name), [""]);
  assert.deepEqual(operationsOf("fragment F on user { id }"), []);
  assert.equal(operationsOf("query A {").length, 1);
});

test("the format changes white space and commas only, and nothing the second time", () => {
  for (const text of [DOCUMENT, "{a{b}}", "{a(b:[1 2],c:{d:$e}) # why\n b}", "query Q($a:Int!$b:[ID!]=[1]){a}"]) {
    const formatted = format(text);
    const meaningful = (each) => tokenize(each).filter((token) => token.type !== "space").map((token) => token.text);
    assert.deepEqual(meaningful(formatted), meaningful(text));
    assert.equal(format(formatted), formatted);
  }
});

test("the format has one field per line", () => {
  assert.equal(
    format('query Q($a:Int!$b:ID){ users(filter:{email:{_in:["a" "b"]}} limit:$a){id role{name}} ...on user{id} }'),
    `query Q($a: Int!, $b: ID) {
  users(filter: { email: { _in: ["a", "b"] } }, limit: $a) {
    id
    role {
      name
    }
  }
  ... on user {
    id
  }
}
`,
  );
});

test("comments are not meaningful", () => {
  assert.ok(tokenize("# a\n").every(isIgnored));
});
