"""Where a rule leads to a column that goes: through the relations of a project's own collections too."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.upgrade.inspection import FLAGS

Relations = Mapping[tuple[str, str], str]
"""The collection that a field of a collection leads to."""

GOING = {"directus_roles": frozenset(FLAGS), "directus_permissions": frozenset({"role"})}
FLAG_OF_CALLER = re.compile(rf"\$CURRENT_(?:ROLE|USER\.role)\.(?:{'|'.join(FLAGS)})\Z")
FOLLOWED = re.compile(r"\$FOLLOW\((\w+)\s*,")
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
    """Where the fields of a database lead, by its foreign keys and by what Directus notes of a project's relations."""
    found = await connection.execute(text(RELATIONS))
    return {(collection, field): target for collection, field, target in found}


def named_in(rule: str | None, collection: str, relations: Relations) -> Iterator[str]:
    """The columns that go and that a rule names, or presets do, a JSON text on a collection: `role.admin_access`.

    Where a path can't be followed, each of the names counts that roles' columns have: better one too many.
    """
    try:
        left: list[tuple[Any, str | None, str]] = [(orjson.loads(rule or "null"), collection, "")]
    except orjson.JSONDecodeError:
        return
    while left:
        value, at, path = left.pop()
        if isinstance(value, str) and FLAG_OF_CALLER.match(value):
            yield value
        elif isinstance(value, list):
            left += [(item, at, path) for item in value]
        elif isinstance(value, dict):
            for key, inner in value.items():
                if key.startswith("_"):
                    left.append((inner, at, path))
                    continue
                name = FUNCTION.sub(r"\1", key)
                if name in GOING.get(at or "directus_roles", frozenset()):
                    yield f"{path}{key}"
                left.append((inner, _target(name, at, relations), f"{path}{key}."))


def _target(name: str, at: str | None, relations: Relations) -> str | None:
    if followed := FOLLOWED.match(name):
        return followed[1]
    field, _, chosen = name.partition(":")
    return chosen or (relations.get((at, field)) if at else None)


def named_fields(fields: str | None, collection: str) -> list[str]:
    """The fields, divided by commas, that go with their columns."""
    return [name for name in (fields or "").split(",") if name in GOING.get(collection, frozenset())]
