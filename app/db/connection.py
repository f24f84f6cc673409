"""A driver connection borrowed from SQLAlchemy's pool, as the read pool and the write pool use it."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from app.core.cache import LRUCache
from app.db.engine import StatementDeadline

Row = Sequence[Any]
"""A row as the driver returns it."""

MAX_PREPARED_STATEMENTS = 128
"""Prepared statements that a connection to PostgreSQL caches."""


class PooledConnection:
    """A driver connection, and the SQLAlchemy connection that owns it.

    `task` uses it now; `timed_out` says that a watchdog cancelled that task. `deadline` limits statements on SQLite; on
    PostgreSQL it is None. `prepared` caches PostgreSQL's prepared statements: running one from here takes fewer steps
    than from asyncpg's own cache. `loop` is the event loop that it belongs to.
    """

    __slots__ = ("deadline", "driver", "loop", "owner", "prepared", "task", "timed_out")

    def __init__(self, owner: PoolProxiedConnection) -> None:
        self.owner, self.loop = owner, asyncio.get_running_loop()
        self.driver: Any = owner.driver_connection
        self.deadline: StatementDeadline | None = owner.info.get("deadline")
        self.prepared: LRUCache[str, Any] = LRUCache(MAX_PREPARED_STATEMENTS)
        self.task: asyncio.Task[Any] | None = None
        self.timed_out = False

    def cancel_task(self) -> None:
        """Cancel the task that uses the connection; asyncpg then asks the server to stop its statement."""
        self.timed_out = True
        if self.task is not None:
            self.task.cancel()

    def interrupt(self) -> None:
        """Stop the statement that a cancelled task left behind on SQLite; on PostgreSQL asyncpg has requested it."""
        if self.deadline is not None:
            self.deadline.expire()

    async def wait_until_idle(self) -> None:
        """Wait until the statement of a cancelled task has ended."""
        await (self.driver.execute("SELECT 1") if self.deadline is None else self.driver.execute_fetchall("SELECT 1"))


def has_timed_out(connection: PooledConnection) -> bool:
    """Return whether only a watchdog cancelled the task that uses a connection; then it is no longer cancelled."""
    if not connection.timed_out:
        return False
    connection.timed_out = False
    return connection.task is None or connection.task.uncancel() == 0


async def terminate(connection: PooledConnection) -> None:
    """Close a connection at once, even if a statement is running on it."""
    if connection.deadline is None:
        connection.driver.terminate()
    else:
        connection.interrupt()
        # Waits until the statement has ended. Closing then merges the WAL, which a handler that has expired prevents.
        await connection.driver.set_progress_handler(None, 0)
    await greenlet_spawn(connection.owner.invalidate)
