"""The mutation that simulates changes of access, with its types.

It is a mutation although it changes nothing: it takes writes, runs them in a transaction, and must neither be sent by
GET nor run beside the other root fields of a document.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.flows.access.simulated_changes import parse_changes
from app.flows.access.simulation import AccessSimulation
from app.graphql.fields.access import as_namespace
from app.graphql.fields.queries import GraphQLContext
from app.graphql.types.builder import TypeBuilder

Info = strawberry.Info[GraphQLContext, Any]

ROWS = {"before": "Int!", "after": "Int!", "gained": "Int!", "lost": "Int!"}
FIELDS = {"fields": "[String!]!", "rows": "access_row_counts"}
ACTION = {
    "collection": "String!",
    "action": "String!",
    "allowed_before": "Boolean!",
    "allowed_after": "Boolean!",
    "fields_gained": "[String!]!",
    "fields_lost": "[String!]!",
    "values_changed": "Boolean!",
    "rows": "access_row_counts",
    "field_rows": "[access_field_change!]!",
    "rows_depend_on_user": "Boolean!",
    "rows_counted": "Boolean!",
}
STANDING = {
    "active": "Boolean!",
    "admin_access": "Boolean!",
    "app_access": "Boolean!",
    "enforce_tfa": "Boolean!",
    "any_access": "Boolean!",
    "addresses": "[String!]",
    "expires": "Date",
}
ROLE = {"id": "ID!", "name": "String!"}
EFFECT = {
    "roles": "[access_role!]!",
    "roles_total": "Int!",
    "users": "[ID!]!",
    "users_total": "Int!",
    "public": "Boolean!",
    "before": "access_standing!",
    "after": "access_standing!",
    "lockouts": "[String!]!",
    "actions": "[access_action_change!]!",
}
LAST_ADMIN = {"change": "Int!", "message": "String!"}
SIMULATION = {
    "changes": "Int!",
    "ip": "String",
    "effects": "[access_effect!]!",
    "effects_total": "Int!",
    "roles_total": "Int!",
    "users_total": "Int!",
    "locked_out_total": "Int!",
    "admins_before": "Int!",
    "admins_after": "Int!",
    "last_admin": "access_last_admin",
    "failed_tests": "[String!]!",
}
TYPES = {
    "access_row_counts": ROWS,
    "access_field_change": FIELDS,
    "access_action_change": ACTION,
    "access_standing": STANDING,
    "access_role": ROLE,
    "access_effect": EFFECT,
    "access_last_admin": LAST_ADMIN,
    "access_simulation": SIMULATION,
}
CHANGE = {"collection": "String!", "action": "String!", "key": "ID", "keys": "[ID!]", "data": "JSON"}


def define_simulation_types(types: TypeBuilder) -> None:
    """Define the types of a simulation."""
    for name, members in TYPES.items():
        types.define_type(name, [types.field(member, spec) for member, spec in members.items()])
    types.define_input("access_change_input", CHANGE)


def simulation_mutations(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the mutation that simulates changes, which Directus does not have."""
    arguments = {"changes": "[access_change_input!]!", "ip": "String"}
    yield types.field("access_simulate", "access_simulation", arguments, _simulate)


async def _simulate(info: Info, changes: list[dict[str, Any]], ip: str | None = None) -> SimpleNamespace:
    directory = info.context.directory
    directory.no_store = True
    return as_namespace(await AccessSimulation(directory).run(parse_changes(changes), ip))
