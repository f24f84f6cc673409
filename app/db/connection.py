"""A driver connection on loan from SQLAlchemy's pool, as both pools use it."""

from typing import Any

import asyncpg
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from app.core.cache import LRUCache

PREPARED = 128
"""Statements that a connection to PostgreSQL keeps prepared."""


async def terminate(lent: "PooledConnection") -> None:
    """Ends a lent connection, whatever runs on it."""
    if isinstance(lent.driver, asyncpg.Connection):
        lent.driver.terminate()
    else:
        await lent.driver.interrupt()
    await greenlet_spawn(lent.connection.invalidate)


class PooledConnection:
    """A connection that SQLAlchemy lent, with the driver's own in it; `hung` where it was given up while it ran.

    What it `prepared` is asked in fewer steps than what the driver would remember by itself.
    """

    __slots__ = ("abandoned", "connection", "driver", "prepared")

    def __init__(self, connection: PoolProxiedConnection) -> None:
        self.connection, self.abandoned = connection, False
        self.driver: Any = connection.driver_connection
        self.prepared: LRUCache[str, Any] = LRUCache(PREPARED)
