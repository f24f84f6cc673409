"""A driver connection borrowed from SQLAlchemy's pool, as the read pool and the write pool use it."""

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from app.core.cache import LRUCache

Row = Sequence[Any]
"""A row as the driver returns it."""

MAX_PREPARED_STATEMENTS = 128
"""Prepared statements that a connection to PostgreSQL caches."""
DATABASE_UNAVAILABLE = "The database is unavailable; try again later"

CONNECTION_ERRORS = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the drivers raise on a connection that is closed or unusable; asyncpg calls some of it an internal error."""


class PooledConnection:
    """A driver connection, and the SQLAlchemy connection that owns it.

    `abandoned` says that it was closed while a statement was running on it. `prepared` caches PostgreSQL's prepared
    statements: running one from here takes fewer steps than from asyncpg's own cache.
    """

    __slots__ = ("abandoned", "driver", "owner", "prepared")

    def __init__(self, owner: PoolProxiedConnection) -> None:
        self.owner, self.abandoned = owner, False
        self.driver: Any = owner.driver_connection
        self.prepared: LRUCache[str, Any] = LRUCache(MAX_PREPARED_STATEMENTS)


async def terminate(connection: PooledConnection) -> None:
    """Close a connection at once, even if a statement is running on it."""
    if isinstance(connection.driver, asyncpg.Connection):
        connection.driver.terminate()
    else:
        await connection.driver.interrupt()
    await greenlet_spawn(connection.owner.invalidate)
