"""The snapshot of a directory's schema, in the format of Directus' `/schema/snapshot`."""

from collections.abc import Mapping
from typing import Any

from app.db.base import POSTGRESQL
from app.flows.server_info import DIRECTUS_VERSION
from app.repositories.directory import Directory

SNAPSHOT_VERSION = 1
VENDORS = {POSTGRESQL: "postgres", "sqlite": "sqlite"}
NOT_IN_SNAPSHOTS = {"id", "system"}
"""Parts of meta that differ between databases with the same schema."""
COLUMN_PARTS = (
    "name",
    "table",
    "data_type",
    "default_value",
    "max_length",
    "numeric_precision",
    "numeric_scale",
    "is_nullable",
    "is_unique",
    "is_indexed",
    "is_primary_key",
    "is_generated",
    "generation_expression",
    "has_auto_increment",
    "foreign_key_table",
    "foreign_key_column",
)
KEY_PARTS = (
    "table",
    "column",
    "foreign_key_table",
    "foreign_key_column",
    "constraint_name",
    "on_update",
    "on_delete",
)

Entry = Mapping[str, Any]


async def schema_snapshot(directory: Directory) -> dict[str, Any]:
    """Return the custom fields and relations, and which built-in fields have an index.

    Raises:
        Forbidden: The caller is not an admin.
    """
    fields, relations = await directory.catalog.everything()
    return {
        "version": SNAPSHOT_VERSION,
        "directus": DIRECTUS_VERSION,
        "vendor": VENDORS[directory.services.dialect],
        "collections": [],
        "fields": [_portable(field, COLUMN_PARTS) for field in fields if not _is_built_in(field)],
        "systemFields": [
            {"collection": field["collection"], "field": field["field"], "schema": {"is_indexed": True}}
            for field in fields
            if _is_built_in(field) and field["schema"] and field["schema"]["is_indexed"]
        ],
        "relations": [_portable(relation, KEY_PARTS) for relation in relations if not _is_built_in(relation)],
    }


def _is_built_in(entry: Entry) -> bool:
    return bool(entry["meta"].get("system"))


def _portable(entry: Entry, schema_parts: tuple[str, ...]) -> dict[str, Any]:
    """Return an entry without what differs between databases with the same schema."""
    schema, meta = entry["schema"], entry["meta"]
    return {
        **entry,
        "meta": {name: value for name, value in meta.items() if name not in NOT_IN_SNAPSHOTS},
        "schema": schema and {name: schema[name] for name in schema_parts},
    }
