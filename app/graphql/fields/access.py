"""The root field that explains access, with its types."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.flows.access_explanation import AccessExplainer, AccessQuestion
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
TYPES = {
    "access_condition": CONDITION,
    "access_origin": ORIGIN,
    "access_permission": PERMISSION,
    "access_policy": POLICY,
    "access_explanation": EXPLANATION,
}
ARGUMENTS = {
    "collection": "String!",
    "action": "String!",
    "user": "ID",
    "item": "ID",
    "field": "String",
    "ip": "String",
}


def define_access_types(types: TypeBuilder) -> None:
    """Define the types of an explanation."""
    for name, members in TYPES.items():
        types.define_type(name, [types.field(member, spec) for member, spec in members.items()])


def access_queries(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the query that explains why a user may or may not do something, which Directus does not have."""
    yield types.field("access_explain", "access_explanation", ARGUMENTS, _explain)


async def _explain(info: Info, **question: Any) -> SimpleNamespace:
    explanation = await AccessExplainer(info.context.directory).explain(AccessQuestion(**question))
    return as_namespace(explanation)


def as_namespace(value: Any) -> SimpleNamespace:
    """Return a dataclass, with those that it contains, as Strawberry resolves the fields of types."""
    return SimpleNamespace(**{field.name: _resolved(getattr(value, field.name)) for field in fields(value)})


def _resolved(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_resolved(part) for part in value]
    return as_namespace(value) if is_dataclass(value) else value
