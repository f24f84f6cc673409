"""Custom fields: columns and relations that a project added to the built-in collections, as a registry with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, ForeignKey, MetaData, Table, text
from sqlalchemy.types import TypeEngine

from app.db.base import Base
from app.query.collection import BUILT_IN, Collection, Field, FieldKind, Registry, Relation

CUSTOMIZABLE = frozenset(f"directus_{name}" for name in ("users", "roles", "policies", "files", "folders", "settings"))
"""The collections that may have custom fields."""
CONCEALED = frozenset({"conceal", "hash"})
"""Specials of fields whose values are never shown."""


@dataclass(frozen=True, slots=True)
class FieldDefinition:
    """A custom column: its type in the database, and what `directus_fields` says about it."""

    collection: str
    name: str
    kind: FieldKind
    type: TypeEngine[Any]
    nullable: bool = True
    has_default: bool = False
    special: frozenset[str] = frozenset()
    note: str | None = None
    validation: str | None = None


@dataclass(frozen=True, slots=True)
class RelationDefinition:
    """A many-to-one relation of a custom column, and the name of its alias in the target, if it has one there.

    `on_delete` is what the foreign key does when the target row is deleted; None if it keeps that from happening.
    """

    collection: str
    field: str
    target: str
    alias: str | None = None
    has_foreign_key: bool = True
    on_delete: str | None = None


def extended_registry(fields: Iterable[FieldDefinition], relations: Iterable[RelationDefinition]) -> Registry:
    """Return the registry of the built-in collections with these custom fields.

    A relation is left out, so that its column is served as a key, if its target is not served, or its key of another
    kind. Equal definitions have the same registry: what is built for it, like the GraphQL schema, is built once.
    """
    return _cached_registry(tuple(fields), tuple(relations))


@lru_cache(maxsize=8)
def _cached_registry(fields: tuple[FieldDefinition, ...], relations: tuple[RelationDefinition, ...]) -> Registry:
    kinds = {(field.collection, field.name): field.kind for field in fields}
    served = {
        (relation.collection, relation.field): relation
        for relation in relations
        if relation.target in BUILT_IN
        and kinds.get((relation.collection, relation.field)) == BUILT_IN[relation.target].key.kind
    }
    tables = _extended_tables(fields, served)
    return Registry(lambda registry: (_extended(one, registry, tables, fields, served) for one in BUILT_IN.values()))


Relations = Mapping[tuple[str, str], RelationDefinition]


def _extended_tables(fields: Iterable[FieldDefinition], relations: Relations) -> Mapping[str, Table]:
    """Return copies of all tables, those of the definitions with the custom columns."""
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    tables = {table.name: table.to_metadata(metadata) for table in Base.metadata.sorted_tables}
    for field in fields:
        relation = relations.get((field.collection, field.name))
        has_key = relation is not None and relation.has_foreign_key
        keys = [ForeignKey(f"{relation.target}.id", ondelete=relation.on_delete)] if relation and has_key else []
        default = text("''") if field.has_default else None  # only whether there is one matters here
        column: Column[Any] = Column(field.name, field.type, *keys, nullable=field.nullable, server_default=default)
        tables[field.collection].append_column(column)
    return tables


def _extended(
    collection: Collection,
    registry: Registry,
    tables: Mapping[str, Table],
    fields: Iterable[FieldDefinition],
    relations: Relations,
) -> Collection:
    """Return a collection with its custom fields: columns after the built-in ones, aliases before the built-in ones."""
    table = tables[collection.name]
    own = (definition for definition in fields if definition.collection == collection.name)
    custom = [_column_field(field, table, relations.get((field.collection, field.name))) for field in own]
    aliases = [
        _alias_field(relation, tables)
        for relation in relations.values()
        if relation.target == collection.name and relation.alias
    ]
    built_in = collection.fields.values()
    columns, built_in_aliases = [f for f in built_in if not f.many], [f for f in built_in if f.many]
    ordered = (*columns, *custom, *aliases, *built_in_aliases)
    return replace(
        collection,
        table=table,
        fields=MappingProxyType({field.name: field for field in ordered}),
        registry=registry,
    )


def _column_field(definition: FieldDefinition, table: Table, relation: RelationDefinition | None) -> Field:
    column = table.c[definition.name]
    reverse = (relation.alias,) if relation and relation.alias else ()
    return Field(
        definition.name,
        definition.kind,
        column,
        Relation(relation.target, many=False, foreign_key=column, reverse=reverse) if relation else None,
        required=not definition.nullable,
        concealed=bool(definition.special & CONCEALED),
        note=definition.note,
        special=definition.special,
        validation=definition.validation,
    )


def _alias_field(relation: RelationDefinition, tables: Mapping[str, Table]) -> Field:
    column = tables[relation.collection].c[relation.field]
    inverse = Relation(relation.collection, many=True, foreign_key=column, reverse=(relation.field,))
    return Field(str(relation.alias), "alias", relation=inverse)
