// A small schema for the tests of the explorer's modules.

import { Schema } from "./explorer/schema.js";

const scalar = (name) => ({ kind: "SCALAR", name, ofType: null });
const object = (name) => ({ kind: "OBJECT", name, ofType: null });
const list = (ofType) => ({ kind: "LIST", name: null, ofType });
const required = (ofType) => ({ kind: "NON_NULL", name: null, ofType });
const input = (name, type) => ({ name, description: null, defaultValue: null, type });
const field = (name, type, args = []) => ({ name, description: null, isDeprecated: false, args, type });
const filter = { kind: "INPUT_OBJECT", name: "user_filter", ofType: null };
const status = { kind: "ENUM", name: "status", ofType: null };

const TYPES = [
  {
    kind: "OBJECT",
    name: "Query",
    fields: [
      field("users", list(object("user")), [input("filter", filter), input("limit", scalar("Int")), input("status", status)]),
      field("users_by_id", object("user"), [input("id", required(scalar("ID")))]),
    ],
  },
  { kind: "OBJECT", name: "Mutation", fields: [field("delete_user", scalar("Boolean"))] },
  {
    kind: "OBJECT",
    name: "user",
    fields: [field("id", required(scalar("ID"))), field("email", scalar("String")), field("role", object("role"))],
  },
  { kind: "OBJECT", name: "role", fields: [field("id", scalar("ID")), field("name", scalar("String"))] },
  {
    kind: "INPUT_OBJECT",
    name: "user_filter",
    inputFields: [input("email", filter), input("_and", list(filter)), input("is_locked", scalar("Boolean"))],
  },
  { kind: "ENUM", name: "status", enumValues: [{ name: "active" }, { name: "archived" }] },
  ...["ID", "String", "Int", "Boolean"].map((name) => ({ kind: "SCALAR", name })),
];

export const schema = new Schema({
  __schema: {
    queryType: { name: "Query" },
    mutationType: { name: "Mutation" },
    subscriptionType: null,
    types: TYPES,
    directives: [{ name: "include", args: [input("if", required(scalar("Boolean")))] }],
  },
});
