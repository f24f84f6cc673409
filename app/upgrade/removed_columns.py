"""Finds the columns that an upgrade removes in rules and field lists, through relations of project collections too."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.upgrade.inspection import ROLE_FLAGS

Relations = Mapping[tuple[str, str], str]
"""The related collection of each relational field, by (collection, field)."""

REMOVED_COLUMNS = {"directus_roles": frozenset(ROLE_FLAGS), "directus_permissions": frozenset({"role"})}
FLAG_OF_CALLER = re.compile(rf"\$CURRENT_(?:ROLE|USER\.role)\.(?:{'|'.join(ROLE_FLAGS)})\Z")
FOLLOW = re.compile(r"\$FOLLOW\((\w+)\s*,")
FUNCTION = re.compile(r"\w+\((\w+)\)\Z")

RELATIONS = """
    SELECT c.relname, a.attname, t.relname
    FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND c.relnamespace = current_schema()::regnamespace
    UNION SELECT many_collection, many_field, one_collection FROM directus_relations WHERE one_collection IS NOT NULL
    UNION SELECT one_collection, one_field, many_collection FROM directus_relations
        WHERE one_collection IS NOT NULL AND one_field IS NOT NULL
    UNION SELECT 'directus_roles', 'users', 'directus_users'
"""


async def read_relations(connection: AsyncConnection) -> Relations:
    """Read the relations of a database: its foreign keys, and those recorded in directus_relations."""
    rows = await connection.execute(text(RELATIONS))
    return {(collection, field): related for collection, field, related in rows}


def removed_columns_in(rule: str | None, collection: str, relations: Relations) -> Iterator[str]:
    """Yield the paths of removed columns, as `role.admin_access`, in the JSON text of a rule or of presets.

    Where a path can't be followed, every name of a removed column of roles counts: a false report does less harm than a
    missing one.
    """
    try:
        pending: list[tuple[Any, str | None, str]] = [(orjson.loads(rule or "null"), collection, "")]
    except orjson.JSONDecodeError:
        return
    while pending:
        value, current, path = pending.pop()
        if isinstance(value, str) and FLAG_OF_CALLER.match(value):
            yield value
        elif isinstance(value, list):
            pending += [(item, current, path) for item in value]
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key.startswith("_"):
                    pending.append((inner, current, path))
                    continue
                name = FUNCTION.sub(r"\1", key)
                if name in REMOVED_COLUMNS.get(current or "directus_roles", frozenset()):
                    yield f"{path}{key}"
                pending.append((inner, _related_collection(name, current, relations), f"{path}{key}."))


def _related_collection(name: str, collection: str | None, relations: Relations) -> str | None:
    """Return the collection that a key of a rule leads to; None if it is unknown."""
    if follow := FOLLOW.match(name):
        return follow[1]
    field, _, any_collection = name.partition(":")
    return any_collection or (relations.get((collection, field)) if collection else None)


def removed_fields_in(fields: str | None, collection: str) -> list[str]:
    """Return the removed fields of a comma-separated field list."""
    return [name for name in (fields or "").split(",") if name in REMOVED_COLUMNS.get(collection, frozenset())]
