"""The mutations with which admins change custom fields and their relations."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.graphql.fields.descriptions import TYPES, as_object
from app.graphql.fields.queries import GraphQLContext
from app.graphql.types.builder import TypeBuilder
from app.repositories.directory import Directory

Info = strawberry.Info[GraphQLContext, Any]
Action = Callable[..., Awaitable[Any]]
"""Executes a mutation for the caller of a directory, with the field's arguments as keywords."""

SCHEMA_CHANGE_PREFIX = "write_"
"""What the names of these mutations' types begin with."""
CHANGED = ("directus_fields", "directus_relations")
"""The types of what these mutations change."""
REQUIRED_IN_CHANGES = "directus_relations_schema"
"""The type whose fields are required in changes too, as in Directus."""
IN_ONE: Mapping[str, str] = {"collection": "String!", "field": "String!"}
FIELDS_DATA, RELATIONS_DATA = (f"{SCHEMA_CHANGE_PREFIX}{name}_input" for name in CHANGED)
CONCURRENTLY: Mapping[str, Any] = {"concurrentIndexCreation": "Boolean"}
"""An argument of Directus that has no effect here: indexes are created in the transaction of the field."""


def define_schema_change_types(types: TypeBuilder) -> None:
    """Define the types of these mutations: those of the queries without required fields, and their inputs."""
    for name in CHANGED:
        for part in (f"{name}_meta", f"{name}_schema", name):
            is_required = part == REQUIRED_IN_CHANGES
            specs = {key: spec if is_required else _optional(spec) for key, spec in TYPES[part].items()}
            written = {
                key: spec.replace("directus_", f"{SCHEMA_CHANGE_PREFIX}directus_") for key, spec in specs.items()
            }
            types.define_type(f"{SCHEMA_CHANGE_PREFIX}{part}", (types.field(*item) for item in written.items()))
            inputs = {key: f"{spec}_input" if "directus_" in spec else spec for key, spec in written.items()}
            types.define_input(f"{SCHEMA_CHANGE_PREFIX}{part}_input", inputs)
    for name in ("delete_field", "delete_relation"):
        types.define_type(name, (types.field(part, "String") for part in ("collection", "field")))


def schema_mutations(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the mutations; only admins see them."""
    field, relation = (f"{SCHEMA_CHANGE_PREFIX}{name}" for name in CHANGED)
    data, in_collection = {"data": f"{FIELDS_DATA}!"}, {"collection": "String!"}
    yield _mutation(types, "create_fields_item", field, {**in_collection, **data, **CONCURRENTLY}, _create_field)
    yield _mutation(types, "update_fields_item", field, {**IN_ONE, **data, **CONCURRENTLY}, _update_field)
    several = {**in_collection, "data": f"[{FIELDS_DATA}!]", **CONCURRENTLY}
    yield _mutation(types, "update_fields_items", field, several, _update_fields)
    yield _mutation(types, "delete_fields_item", "delete_field", IN_ONE, _drop_field)
    data = {"data": f"{RELATIONS_DATA}!"}
    yield _mutation(types, "create_relations_item", relation, data, _create_relation)
    yield _mutation(types, "update_relations_item", relation, {**IN_ONE, **data}, _update_relation)
    yield _mutation(types, "delete_relations_item", "delete_relation", IN_ONE, _drop_relation)


def _optional(spec: str) -> str:
    return spec.removesuffix("!")


def _mutation(
    types: TypeBuilder, name: str, spec: str, arguments: Mapping[str, str], action: Action
) -> StrawberryField:
    async def resolve(info: Info, **values: Any) -> SimpleNamespace | None:
        values.pop("concurrentIndexCreation", None)
        changed: SimpleNamespace | None = await action(info.context.directory, **values)
        return changed

    field = types.field(name, spec, arguments, resolve)
    for argument in field.arguments:
        if argument.python_name in CONCURRENTLY:
            argument.default = False
    return field


async def _create_field(directory: Directory, *, collection: str, data: Any) -> SimpleNamespace:
    return as_object("directus_fields", await directory.field_writer.create(collection, data))


async def _update_field(directory: Directory, *, collection: str, field: str, data: Any) -> SimpleNamespace:
    return as_object("directus_fields", await directory.field_writer.update(collection, field, data))


async def _update_fields(directory: Directory, *, collection: str, data: Any = None) -> SimpleNamespace | None:
    """Change several fields; the result is the last of them, because Directus' schema has room for only one."""
    changed = await directory.field_writer.update_all(collection, data or [])
    return as_object("directus_fields", changed[-1]) if changed else None


async def _drop_field(directory: Directory, *, collection: str, field: str) -> SimpleNamespace:
    await directory.field_writer.drop(collection, field)
    return SimpleNamespace(collection=collection, field=field)


async def _create_relation(directory: Directory, *, data: Any) -> SimpleNamespace:
    return as_object("directus_relations", await directory.relation_writer.create(data))


async def _update_relation(directory: Directory, *, collection: str, field: str, data: Any) -> SimpleNamespace:
    return as_object("directus_relations", await directory.relation_writer.update(collection, field, data))


async def _drop_relation(directory: Directory, *, collection: str, field: str) -> SimpleNamespace:
    await directory.relation_writer.drop(collection, field)
    return SimpleNamespace(collection=collection, field=field)
