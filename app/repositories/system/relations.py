"""The entries of relations in the system API: built-in ones and those that rows describe."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.query.collection import Collection, Field
from app.repositories.system.built_in_meta import RELATIONS, SECOND_RELATIONS
from app.repositories.system.columns import ColumnKey


def relation_entries(
    collection: Collection,
    field: Field,
    keys: Mapping[ColumnKey, Mapping[str, Any]],
    rows: Iterable[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Yield the entries of a to-one relation: one, or two for a built-in one that has two aliases."""
    key = (collection.name, field.name)
    row = next((row for row in rows if (row["many_collection"], row["many_field"]) == key), None)
    yield _entry(collection, field, keys.get(key), row or _built_in_meta(collection, field, RELATIONS.get(key, {})))
    if row is None and key in SECOND_RELATIONS:
        yield _entry(collection, field, None, _built_in_meta(collection, field, SECOND_RELATIONS[key]))


def _entry(
    collection: Collection, field: Field, schema: Mapping[str, Any] | None, meta: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "collection": collection.name,
        "field": field.name,
        "related_collection": field.link.target,
        "schema": schema,
        "meta": meta,
    }


def _built_in_meta(collection: Collection, field: Field, particular: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "system": True,
        "many_collection": collection.name,
        "many_field": field.name,
        "one_collection": field.link.target,
        "one_field": next(iter(field.link.reverse), None),
        "one_collection_field": None,
        "one_allowed_collections": None,
        "junction_field": None,
        "sort_field": None,
        "one_deselect_action": "nullify",
        **particular,
    }
