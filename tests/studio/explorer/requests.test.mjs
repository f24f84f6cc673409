// Variables, history, secrets, curl, and documents for fields.

import assert from "node:assert/strict";
import { test } from "node:test";

import { curlCommand } from "./explorer/curl.js";
import { History } from "./explorer/history.js";
import { printType } from "./explorer/schema.js";
import { documentWithoutSecrets, valueWithoutSecrets } from "./explorer/secrets.js";
import { operationFor } from "./explorer/snippets.js";
import { parseVariables, VariablesError } from "./explorer/variables.js";
import { schema } from "./schema.mjs";

class Storage {
  values = new Map();
  getItem = (key) => this.values.get(key) ?? null;
  setItem = (key, value) => this.values.set(key, value);
  removeItem = (key) => this.values.delete(key);
}

test("variables are an object, or nothing", () => {
  assert.deepEqual(parseVariables('{"id": 1}'), { id: 1 });
  assert.deepEqual(parseVariables(" \n"), {});
  for (const text of ["[]", "1", "null", '"a"']) assert.throws(() => parseVariables(text), VariablesError);
});

test("an error in the variables has its place", () => {
  const places = {
    '{\n  "id": x\n}': [2, 9],
    '{"id": }': [1, 8],
    '{"id" 1}': [1, 7],
    "{id: 1}": [1, 2],
    '{"id": 1,}': [1, 10],
    '{"id": [1 2]}': [1, 11],
    '{"id": "a\nb"}': [1, 8],
    '{"id": 01}': [1, 9],
    '{"id": 1': [1, 9],
    '{"id": 1} 2': [1, 11],
    '{"id": {"in": [true, null, -1.5e3, "\\u00e4", {}]}': [1, 50],
  };
  for (const [text, [line, column]] of Object.entries(places)) {
    assert.throws(() => parseVariables(text), (error) => {
      assert.deepEqual(error.place, { line, column }, text);
      return true;
    });
  }
});

test("the history has the newest request first, each once, and at most fifty", () => {
  const history = new History(new Storage(), "ada");
  history.add("{ a }", {}, 1);
  history.add("{ b }", {}, 2);
  history.add("{ a }", {}, 3);
  assert.deepEqual(history.entries().map(({ query, time }) => [query, time]), [["{ a }", 3], ["{ b }", 2]]);
  for (let index = 0; index < 60; index += 1) history.add(`{ a${index} }`, {});
  assert.equal(history.entries().length, 50);
});

test("the history belongs to one user and can be cleared", () => {
  const storage = new Storage();
  const [ada, vi] = [new History(storage, "ada"), new History(storage, "vi")];
  ada.add("{ a }", {});
  vi.add("{ b }", {});
  ada.clear();
  assert.deepEqual(ada.entries(), []);
  assert.equal(vi.entries().length, 1);
});

test("a disabled, full or damaged storage does not matter", () => {
  const fail = () => {
    throw new Error("disabled");
  };
  const history = new History({ getItem: fail, setItem: fail, removeItem: fail }, "ada");
  history.add("{ a }", {});
  history.clear();
  assert.deepEqual(history.entries(), []);
  const storage = new Storage();
  storage.getItem = () => "[1, {";
  assert.deepEqual(new History(storage, "ada").entries(), []);
});

test("the history has no secrets", () => {
  const history = new History(new Storage(), "ada");
  history.add('mutation { login(email: "a", password: "hidden") }', { data: [{ password: "hidden", name: "a" }] });
  const [{ query, variables }] = history.entries();
  assert.equal(query, 'mutation { login(email: "a", password: "") }');
  assert.deepEqual(variables, { data: [{ password: "", name: "a" }] });
});

test("secrets are removed from texts of any form, and nothing else", () => {
  assert.equal(documentWithoutSecrets('{ a(otp: """1""", text: "2", in: { token: "3" }) }'), '{ a(otp: "", text: "2", in: { token: "" }) }');
  assert.deepEqual(valueWithoutSecrets({ tokens: ["a"], count: 1, ok: null }), { tokens: [""], count: 1, ok: null });
});

test("the curl command is quoted for a shell and has no token", () => {
  const command = curlCommand("https://example.com/graphql/system", { query: "{ a(b: \"it's\") }" });
  assert.match(command, /^curl 'https:\/\/example\.com\/graphql\/system' \\\n/);
  assert.ok(command.includes("Bearer $ROLLCALL_TOKEN"));
  assert.ok(command.includes("it'\\''s"));
});

test("a field becomes an operation with its required variables", () => {
  const [users, byId] = schema.fields(schema.root("query"));
  assert.equal(operationFor(schema, "query", users), "query Users {\n  users {\n    id\n    email\n  }\n}\n");
  assert.equal(
    operationFor(schema, "query", byId),
    "query UsersById($id: ID!) {\n  users_by_id(id: $id) {\n    id\n    email\n  }\n}\n",
  );
});

test("types are printed as GraphQL writes them", () => {
  assert.equal(printType(schema.fields(schema.root("query"))[0].type), "[user]");
});

test("the search finds types and fields, those that begin with the text first", () => {
  const names = schema.search("user").map(({ type, field }) => (field ? `${type.name}.${field.name}` : type.name));
  assert.deepEqual(names, ["Query.users", "Query.users_by_id", "user", "user_filter", "Mutation.delete_user"]);
  assert.deepEqual(schema.search(" "), []);
});
