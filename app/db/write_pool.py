"""The write pool: runs each write in a transaction of its own, on a connection from a pool."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.cache import LRUCache
from app.core.errors import ServiceUnavailable
from app.db.base import POSTGRESQL
from app.db.connection import DATABASE_UNAVAILABLE, PooledConnection, terminate
from app.db.engine import BUSY_TIMEOUT_MS, UNREACHABLE
from app.db.transaction import PreparedQueries, WriteTransaction
from app.db.watchdog import Watchdog

T = TypeVar("T")

WRITERS_BUSY = "The database is busy; try again"
BEGIN = {POSTGRESQL: ("BEGIN ISOLATION LEVEL READ COMMITTED",), "sqlite": ("BEGIN IMMEDIATE",)}
BEGIN_EXCLUSIVE = (*BEGIN[POSTGRESQL], "SELECT id FROM rollcall_lock FOR UPDATE")
QUEUE_TIMEOUT_SECONDS = 2 * BUSY_TIMEOUT_MS / 1000
"""How long a write waits at most until it may begin."""
MAX_TRANSACTION_SECONDS = 60.0
"""How long a transaction may take before its connection is closed."""
MAX_PREPARED_QUERIES = 500
"""Prepared queries cached for all write transactions."""


class WritePool:
    """Runs write transactions on pooled connections.

    Exclusive ones hold a row lock (`rollcall_lock`) across processes and an `asyncio.Lock` within one; on PostgreSQL up
    to `concurrent` others run at the same time, also beside an exclusive one. On SQLite every write is exclusive.
    """

    def __init__(self, engine: AsyncEngine, concurrent: int) -> None:
        self._engine = engine
        self._exclusive, self._concurrent = asyncio.Lock(), asyncio.Semaphore(concurrent)
        self._idle: list[PooledConnection] = []
        self._prepared: PreparedQueries = LRUCache(MAX_PREPARED_QUERIES)
        self._watchdog: Watchdog[PooledConnection] = Watchdog(MAX_TRANSACTION_SECONDS, self._abandon)
        self._closing: set[asyncio.Task[None]] = set()
        self._postgresql = engine.dialect.name == POSTGRESQL

    async def run(self, work: Callable[[WriteTransaction], Awaitable[T]], *, exclusive: bool) -> T:
        """Run `work` in a transaction and return its result; commit afterwards, roll back if it raises.

        Raises:
            ServiceUnavailable: The database is unreachable, or other writes take too long.
        """
        exclusive = exclusive or not self._postgresql
        permit = self._exclusive if exclusive else self._concurrent
        await _acquire(permit)
        try:
            connection, writer = await self._begin(exclusive=exclusive)
            self._watchdog.track(connection)
            try:
                result = await work(writer)
                await writer.commit()
            except BaseException as error:
                await self._roll_back(connection, writer, error)
                raise
            finally:
                self._watchdog.untrack(connection)
            self._idle.append(connection)
            return result
        finally:
            permit.release()

    async def dispose(self) -> None:
        """Close every idle connection. The next write opens a new one."""
        self._watchdog.stop()
        while self._idle:
            self._close_in_background(self._idle.pop())
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _begin(self, *, exclusive: bool) -> tuple[PooledConnection, WriteTransaction]:
        """Begin a transaction; replace a connection that has died since its last use."""
        is_new = not self._idle
        connection = PooledConnection(await self._connect()) if is_new else self._idle.pop()
        writer = WriteTransaction(connection.driver, self._engine.dialect, self._prepared)
        commands = BEGIN_EXCLUSIVE if exclusive and self._postgresql else BEGIN[self._engine.dialect.name]
        try:
            await writer.begin(*commands)
        except BaseException as error:
            await self._roll_back(connection, writer, error)
            if not is_new and isinstance(error, DBAPIError) and error.connection_invalidated:
                return await self._begin(exclusive=exclusive)
            raise
        return connection, writer

    async def _connect(self) -> PoolProxiedConnection:
        try:
            return await self._engine.raw_connection()
        except PoolTimeout:
            raise ServiceUnavailable(WRITERS_BUSY) from None
        except (*UNREACHABLE, DBAPIError):
            raise ServiceUnavailable(DATABASE_UNAVAILABLE) from None

    async def _roll_back(self, connection: PooledConnection, writer: WriteTransaction, error: BaseException) -> None:
        """Roll back; close a connection on which that fails, which rolls back as well."""
        if connection.abandoned or (isinstance(error, DBAPIError) and error.connection_invalidated):
            self._close_in_background(connection)
            return
        try:
            await writer.rollback()
        except BaseException:
            self._close_in_background(connection)
            raise
        self._idle.append(connection)

    def _abandon(self, connection: PooledConnection) -> None:
        connection.abandoned = True
        self._close_in_background(connection)

    def _close_in_background(self, connection: PooledConnection) -> None:
        """Close a connection without waiting for it, because it may hang."""
        task = asyncio.ensure_future(terminate(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _acquire(permit: asyncio.Lock | asyncio.Semaphore) -> None:
    if not permit.locked():
        await permit.acquire()
        return
    try:
        async with asyncio.timeout(QUEUE_TIMEOUT_SECONDS):
            await permit.acquire()
    except TimeoutError:
        raise ServiceUnavailable(WRITERS_BUSY) from None
