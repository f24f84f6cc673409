"""The root fields that explain access and find who has it, with their types."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.flows.access.explanation import AccessExplainer, AccessQuestion
from app.flows.access.who_can import AccessHolders, HoldersQuestion
from app.graphql.fields.queries import GraphQLContext
from app.graphql.types.builder import TypeBuilder

Info = strawberry.Info[GraphQLContext, Any]

CONDITION = {"text": "String!", "matches": "Boolean"}
ORIGIN = {
    "kind": "String!",
    "access": "ID!",
    "role": "ID",
    "role_name": "String",
    "expires": "String",
    "expired": "Boolean!",
}
PERMISSION = {
    "id": "ID",
    "fields": "[String!]!",
    "includes_field": "Boolean",
    "matches_item": "Boolean",
    "problem": "String",
    "conditions": "[access_condition!]!",
    "rule": "JSON",
    "validation": "JSON",
    "presets": "JSON",
}
POLICY = {
    "id": "ID!",
    "name": "String!",
    "origins": "[access_origin!]!",
    "in_force": "Boolean!",
    "ip_access": "[String!]!",
    "admin_access": "Boolean!",
    "app_access": "Boolean!",
    "permissions": "[access_permission!]!",
}
EXPLANATION = {
    "allowed": "Boolean!",
    "user": "ID",
    "status": "String",
    "collection": "String!",
    "action": "String!",
    "item": "ID",
    "field": "String",
    "ip": "String",
    "reasons": "[String!]!",
    "enough": "[String!]!",
    "policies": "[access_policy!]!",
}
HOLDING_USER = {
    "id": "ID!",
    "email": "String",
    "first_name": "String",
    "last_name": "String",
    "role": "ID",
    "everywhere": "Boolean!",
}
HOLDING_ROLE = {"id": "ID!", "name": "String!", "every_user": "Boolean!"}
HOLDERS = {
    "collection": "String!",
    "action": "String!",
    "item": "String",
    "field": "String",
    "ip": "String",
    "public": "Boolean!",
    "total": "Int!",
    "users": "[access_holding_user!]!",
    "roles": "[access_holding_role!]!",
}
TYPES = {
    "access_condition": CONDITION,
    "access_origin": ORIGIN,
    "access_permission": PERMISSION,
    "access_policy": POLICY,
    "access_explanation": EXPLANATION,
    "access_holding_user": HOLDING_USER,
    "access_holding_role": HOLDING_ROLE,
    "access_holders": HOLDERS,
}
ARGUMENTS = {
    "collection": "String!",
    "action": "String!",
    "user": "ID",
    "item": "ID",
    "field": "String",
    "ip": "String",
}
HOLDERS_ARGUMENTS = {
    "collection": "String!",
    "action": "String!",
    "item": "ID",
    "field": "String",
    "ip": "String",
    "limit": "Int",
    "offset": "Int",
    "page": "Int",
}


def define_access_types(types: TypeBuilder) -> None:
    """Define the types of these answers."""
    for name, members in TYPES.items():
        types.define_type(name, [types.field(member, spec) for member, spec in members.items()])


def access_queries(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the queries that explain why a user may do something, and find who may, which Directus does not have."""
    yield types.field("access_explain", "access_explanation", ARGUMENTS, _explain)
    yield types.field("access_who_can", "access_holders", HOLDERS_ARGUMENTS, _who_can)


async def _explain(info: Info, **question: Any) -> SimpleNamespace:
    explanation = await AccessExplainer(info.context.directory).explain(AccessQuestion(**question))
    return as_namespace(explanation)


async def _who_can(info: Info, **question: Any) -> SimpleNamespace:
    values = {name: value for name, value in question.items() if value is not None}
    holders = await AccessHolders(info.context.directory).find(HoldersQuestion(**values))
    return as_namespace(holders)


def as_namespace(value: Any) -> SimpleNamespace:
    """Return a dataclass, with those that it contains, as Strawberry resolves the fields of types."""
    return SimpleNamespace(**{field.name: _resolved(getattr(value, field.name)) for field in fields(value)})


def _resolved(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_resolved(part) for part in value]
    return as_namespace(value) if is_dataclass(value) else value
