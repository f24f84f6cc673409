"""Additional permissions of Vi, and rows that tests insert without the API."""

from itertools import count
from typing import Any

from sqlalchemy import insert

from app.flows.import_export import import_rows
from app.testing import TestSystem
from tests.writes.editors import make_permission

NUMBERS = count(9000)


async def grant(system: TestSystem, action: str, collection: str, fields: str | None, **rules: Any) -> None:
    """Let Vi do something with a collection."""
    permission = make_permission(next(NUMBERS), "Viewers", action, collection, fields, **rules)
    await import_rows(system.database, {"directus_permissions": [permission]}, replace=False)


async def insert_rows(system: TestSystem, table: Any, *rows: dict[str, Any]) -> None:
    """Insert rows into a table."""
    async with system.database.transaction() as connection:
        for row in rows:
            await connection.execute(insert(table).values(**row))
