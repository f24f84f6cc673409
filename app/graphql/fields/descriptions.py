"""The root fields that describe collections, fields and relations, with the types of what they return."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.core.errors import Forbidden
from app.graphql.fields.queries import GraphQLContext
from app.graphql.types.builder import TypeBuilder
from app.repositories.system.built_in_meta import built_in_id
from app.repositories.system.catalog import SchemaCatalog

Info = strawberry.Info[GraphQLContext, Any]
Entry = Mapping[str, Any]
Specs = Mapping[str, str]

COLLECTION_META: Specs = {
    "collection": "String!",
    "icon": "String",
    "note": "String",
    "display_template": "String",
    "hidden": "Boolean!",
    "singleton": "Boolean!",
    "translations": "JSON",
    "archive_field": "String",
    "archive_app_filter": "Boolean!",
    "archive_value": "String",
    "unarchive_value": "String",
    "sort_field": "String",
    "accountability": "String",
    "color": "String",
    "item_duplication_fields": "JSON",
    "sort": "Int",
    "group": "String",
    "collapse": "String!",
    "preview_url": "String",
    "versioning": "Boolean!",
}
COLLECTION_SCHEMA: Specs = {"name": "String", "comment": "String"}
FIELD_META: Specs = {
    "id": "Int!",
    "collection": "String!",
    "field": "String!",
    "special": "[String]",
    "interface": "String",
    "options": "JSON",
    "display": "String",
    "display_options": "JSON",
    "readonly": "Boolean!",
    "hidden": "Boolean!",
    "sort": "Int",
    "width": "String",
    "translations": "JSON",
    "note": "String",
    "conditions": "JSON",
    "required": "Boolean",
    "group": "String",
    "validation": "JSON",
    "validation_message": "String",
    "searchable": "Boolean!",
}
FIELD_SCHEMA: Specs = {
    "name": "String",
    "table": "String",
    "data_type": "String",
    "default_value": "String",
    "max_length": "Int",
    "numeric_precision": "Int",
    "numeric_scale": "Int",
    "is_generated": "Boolean",
    "generation_expression": "String",
    "is_indexed": "Boolean",
    "is_nullable": "Boolean",
    "is_unique": "Boolean",
    "is_primary_key": "Boolean",
    "has_auto_increment": "Boolean",
    "foreign_key_column": "String",
    "foreign_key_table": "String",
    "comment": "String",
}
RELATION_META: Specs = {
    "id": "Int",
    "many_collection": "String",
    "many_field": "String",
    "one_collection": "String",
    "one_field": "String",
    "one_collection_field": "String",
    "one_allowed_collections": "[String]",
    "junction_field": "String",
    "sort_field": "String",
    "one_deselect_action": "String",
}
RELATION_SCHEMA: Specs = {
    "table": "String!",
    "column": "String!",
    "foreign_key_table": "String!",
    "foreign_key_column": "String!",
    "constraint_name": "String",
    "on_update": "String!",
    "on_delete": "String!",
}
TYPES: Mapping[str, Specs] = {
    "directus_collections_meta": COLLECTION_META,
    "directus_collections_schema": COLLECTION_SCHEMA,
    "directus_collections": {
        "collection": "String",
        "meta": "directus_collections_meta",
        "schema": "directus_collections_schema",
    },
    "directus_fields_meta": FIELD_META,
    "directus_fields_schema": FIELD_SCHEMA,
    "directus_fields": {
        "collection": "String",
        "field": "String",
        "type": "String",
        "meta": "directus_fields_meta",
        "schema": "directus_fields_schema",
    },
    "directus_relations_meta": RELATION_META,
    "directus_relations_schema": RELATION_SCHEMA,
    "directus_relations": {
        "collection": "String",
        "field": "String",
        "related_collection": "String",
        "schema": "directus_relations_schema",
        "meta": "directus_relations_meta",
    },
}
"""The types of what these fields return, in SDL."""
NOTES = {
    ("directus_collections_meta", "translations"): (
        "$t:field_options.directus_collections.collection_naming_translations_note"
    )
}
"""The descriptions of their fields."""


def define_schema_types(types: TypeBuilder) -> None:
    """Define the types of these fields."""
    for name, specs in TYPES.items():
        fields = (types.field(key, spec, description=NOTES.get((name, key))) for key, spec in specs.items())
        types.define_type(name, fields)


def schema_queries(types: TypeBuilder) -> Iterator[StrawberryField]:
    """Yield the queries that describe the schema; only callers with the right to list see them."""
    by_collection, by_field = {"collection": "String!"}, {"collection": "String!", "field": "String!"}
    yield _listed(types, "collections", "directus_collections", {}, SchemaCatalog.collections)
    yield _single(types, "collections_by_name", "directus_collections", {"name": "String!"}, SchemaCatalog.collection)
    yield _listed(types, "fields", "directus_fields", {}, SchemaCatalog.fields)
    yield _listed(types, "fields_in_collection", "directus_fields", by_collection, _unless_hidden(SchemaCatalog.fields))
    yield _single(types, "fields_by_name", "directus_fields", by_field, SchemaCatalog.field)
    yield _listed(types, "relations", "directus_relations", {}, SchemaCatalog.relations)
    yield _listed(
        types, "relations_in_collection", "directus_relations", by_collection, _unless_hidden(SchemaCatalog.relations)
    )
    yield _single(types, "relations_by_name", "directus_relations", by_field, SchemaCatalog.relation)


Method = Callable[..., Awaitable[Any]]
"""A method of the catalog, with the values of a field's arguments as its own."""


def _listed(types: TypeBuilder, name: str, type_: str, arguments: Specs, method: Method) -> StrawberryField:
    async def resolve(info: Info, **values: Any) -> list[SimpleNamespace]:
        entries = await method(info.context.directory.catalog, *(values[key] for key in arguments))
        return [as_object(type_, entry) for entry in entries]

    return types.field(name, f"[{type_}!]!", arguments, resolve)


def _single(types: TypeBuilder, name: str, type_: str, arguments: Specs, method: Method) -> StrawberryField:
    async def resolve(info: Info, **values: Any) -> SimpleNamespace:
        return as_object(type_, await method(info.context.directory.catalog, *(values[key] for key in arguments)))

    return types.field(name, type_, arguments, resolve)


def as_object(type_: str, entry: Entry) -> SimpleNamespace:
    """Return an entry of the catalog with attributes for every field of its type."""
    meta, schema = (_part(TYPES[f"{type_}_{part}"], entry[part]) for part in ("meta", "schema"))
    if type_ == "directus_fields":
        if meta.id is None:  # required in the schema; built-in fields have no row
            meta.id = built_in_id(meta.collection, meta.field)
        if schema is not None:
            schema.default_value = _as_text(schema.default_value)
    return SimpleNamespace(**{**entry, "meta": meta, "schema": schema})


def _part(specs: Specs, values: Entry | None) -> Any:
    return values and SimpleNamespace(**{name: values.get(name) for name in specs})


def _as_text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _unless_hidden(method: Method) -> Method:
    """Return a method that yields an empty list for a collection that the caller may not see, or that is unknown."""

    async def list_visible(catalog: SchemaCatalog, collection: str) -> list[Entry]:
        try:
            entries: list[Entry] = await method(catalog, collection)
        except Forbidden:
            return []
        return entries

    return list_visible
