"""The content of a whole database, the tables of a project included."""

from typing import Any

from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.testing import TestSystem

Content = dict[str, list[dict[str, Any]]]


async def content(system: TestSystem) -> Content:
    """Return the rows of every table, in a stable order."""
    async with system.database.transaction() as connection:
        return await read_content(connection)


async def read_content(connection: AsyncConnection) -> Content:
    """Return the same as a transaction sees it."""
    names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    rows = {
        name: [dict(row) for row in (await connection.execute(text(f'SELECT * FROM "{name}"'))).mappings()]
        for name in names
    }
    return {name: sorted(found, key=repr) for name, found in rows.items()}
