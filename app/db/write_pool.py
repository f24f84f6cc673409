"""The write pool: runs each write in a transaction of its own, on a connection from a pool."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.cache import LRUCache
from app.core.cancellation import finish
from app.core.errors import ServiceUnavailable
from app.core.watchdog import Watchdog
from app.db.base import POSTGRESQL
from app.db.connection import PooledConnection, has_timed_out, terminate
from app.db.driver_errors import DATABASE_UNAVAILABLE, OutcomeUnknown, StaleConnection
from app.db.drivers import driver_errors
from app.db.engine import BUSY_TIMEOUT_MS
from app.db.postgresql import CONNECT_TIMEOUT_SECONDS
from app.db.resource_pool import Owner, ResourcePool
from app.db.traced_transaction import TracedWriteTransaction
from app.db.transaction import PreparedQueries, WriteTransaction
from app.tracing.tracer import Tracer

T = TypeVar("T")

WRITERS_BUSY = "The database is busy; try again"
LOCK_DIRECTORY = "SELECT id FROM rollcall_lock FOR UPDATE"
QUEUE_TIMEOUT_SECONDS = 2 * BUSY_TIMEOUT_MS / 1000
"""How long a write waits at most until it may begin."""
ROLLBACK_SECONDS = CONNECT_TIMEOUT_SECONDS
"""How long a rollback may take, which first waits until the server has stopped a cancelled statement."""
MAX_PREPARED_QUERIES = 500
"""Prepared queries cached for all write transactions."""


class WritePool:
    """Runs write transactions on pooled connections.

    Exclusive ones hold a row lock (`rollcall_lock`) across processes and the only permit within one; on PostgreSQL up
    to `concurrent` others run at the same time, also beside an exclusive one. On SQLite every write is exclusive.

    A statement may take `statement_timeout` seconds, and a transaction `transaction_timeout`. What takes longer, or is
    cancelled, is stopped in the database too, and rolled back before the next write begins. On PostgreSQL each
    transaction begins with the commands `at_begin`, which cost no round trip.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        concurrent: int,
        reserved: int,
        *,
        max_waiting: int,
        statement_timeout: float,
        transaction_timeout: float,
        at_begin: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self._exclusive = _permits(1, 0, max_waiting)
        self._concurrent = _permits(concurrent, reserved, max_waiting)
        self._statement_timeout, self._transaction_timeout = statement_timeout, transaction_timeout
        self._at_begin = at_begin
        self._idle: list[PooledConnection] = []
        self._prepared: PreparedQueries = LRUCache(MAX_PREPARED_QUERIES)
        self._watchdog: Watchdog[PooledConnection] = Watchdog(transaction_timeout, PooledConnection.cancel_task)
        self._background: set[asyncio.Task[None]] = set()
        self._create_transaction: Callable[..., WriteTransaction] = WriteTransaction
        self._postgresql = engine.dialect.name == POSTGRESQL

    def trace(self, tracer: Tracer) -> None:
        """Report the statements of every transaction to a tracer from now on."""
        self._create_transaction = partial(TracedWriteTransaction, tracer=tracer)

    @property
    def permits(self) -> dict[str, ResourcePool[object]]:
        """The permits to run a transaction, by what kind of write they are for."""
        return {"exclusive_write": self._exclusive, "concurrent_write": self._concurrent}

    async def run(
        self,
        work: Callable[[WriteTransaction], Awaitable[T]],
        *,
        exclusive: bool,
        background: bool = False,
        owner: Owner = None,
    ) -> T:
        """Run `work` in a transaction and return its result; commit afterwards, roll back if it raises.

        Owners take turns, and one runs only a part of the concurrent writes at once. In the `background`, where no
        client waits, a statement may take as long as a transaction.

        Raises:
            ServiceUnavailable: The database is unreachable, or this write or those before it take too long.
            OutcomeUnknown: The connection broke during the commit, or that took too long.
        """
        exclusive = exclusive or not self._postgresql
        permits = self._exclusive if exclusive else self._concurrent
        permit = permits.acquire_nowait(owner) or await permits.acquire(owner)
        try:
            connection, writer = await self._begin(exclusive=exclusive, background=background)
            try:
                result = await work(writer)
                await (finish(writer.commit()) if writer.after_commit else writer.commit())
            except BaseException as error:
                await self._fail(connection, writer, error)
                raise
            self._watchdog.untrack(connection)
            self._idle.append(connection)
        finally:
            permits.release(permit, owner)
        if writer.after_commit:
            await finish(writer.after_commit())
        return result

    async def dispose(self) -> None:
        """Close every idle connection. The next write opens a new one."""
        self._watchdog.stop()
        await asyncio.gather(*self._background, return_exceptions=True)
        while self._idle:
            self._run_in_background(terminate(self._idle.pop()))
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _begin(self, *, exclusive: bool, background: bool) -> tuple[PooledConnection, WriteTransaction]:
        """Begin a transaction; replace a connection that has died since its last use."""
        is_new = not self._idle
        connection = PooledConnection(await self._connect()) if is_new else self._idle.pop()
        limit = self._transaction_timeout if background else self._statement_timeout
        writer = self._create_transaction(connection, self._engine.dialect, self._prepared, limit)
        connection.task = asyncio.current_task()
        self._watchdog.track(connection)
        try:
            await self._send_begin(writer, exclusive=exclusive, background=background)
        except BaseException as error:
            await self._fail(connection, writer, error)
            if not is_new and isinstance(error, StaleConnection):
                return await self._begin(exclusive=exclusive, background=background)
            raise
        return connection, writer

    async def _send_begin(self, writer: WriteTransaction, *, exclusive: bool, background: bool) -> None:
        """Begin a transaction; raise StaleConnection if the server does not even report that it waits for a lock."""
        try:
            async with asyncio.timeout(self._statement_timeout + CONNECT_TIMEOUT_SECONDS):
                await writer.begin(*self._begin_commands(exclusive=exclusive, background=background))
        except TimeoutError:
            raise StaleConnection from None

    def _begin_commands(self, *, exclusive: bool, background: bool) -> Iterator[str]:
        if not self._postgresql:
            yield "BEGIN IMMEDIATE"
            return
        yield "BEGIN ISOLATION LEVEL READ COMMITTED"
        yield from self._at_begin
        if exclusive:
            yield LOCK_DIRECTORY
        if background:
            yield f"SET LOCAL statement_timeout = {int(self._transaction_timeout * 1000)}"

    async def _connect(self) -> PoolProxiedConnection:
        try:
            return await self._engine.raw_connection()
        except PoolTimeout:
            raise ServiceUnavailable(WRITERS_BUSY) from None
        except driver_errors(self._engine.dialect.name).unreachable:
            raise ServiceUnavailable(DATABASE_UNAVAILABLE) from None

    async def _fail(self, connection: PooledConnection, writer: WriteTransaction, error: BaseException) -> None:
        """Take back the connection of a failed transaction; raise ServiceUnavailable if that took too long."""
        self._watchdog.untrack(connection)
        timed_out = has_timed_out(connection)
        await asyncio.shield(self._run_in_background(self._undo(connection, writer, error)))
        if timed_out and writer.committing:
            raise OutcomeUnknown from error
        if timed_out:
            raise ServiceUnavailable(
                f"The write took longer than the {self._transaction_timeout:g} s allowed; write less at once"
            ) from error

    async def _undo(self, connection: PooledConnection, writer: WriteTransaction, error: BaseException) -> None:
        """Roll back; close a connection that is dead or does not do so in time, which rolls back as well."""
        connection.interrupt()
        if not isinstance(error, StaleConnection) and await _rolled_back(writer):
            self._idle.append(connection)
        else:
            await terminate(connection)
        if writer.committed and writer.after_commit:
            await writer.after_commit()

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run what closes or frees a connection in a task of its own, because it may hang."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


async def _rolled_back(writer: WriteTransaction) -> bool:
    try:
        async with asyncio.timeout(ROLLBACK_SECONDS):
            await writer.rollback()
    except Exception:  # noqa: BLE001  # whatever it is, the connection is of no more use
        return False
    return True


def _permits(count: int, reserved: int, max_waiting: int) -> ResourcePool[object]:
    """Return a pool of permits to run a transaction; a caller that runs none can use those that are reserved."""
    return ResourcePool(
        [object() for _ in range(count + reserved)],
        max_waiting=max_waiting,
        timeout=QUEUE_TIMEOUT_SECONDS,
        reserved=reserved,
        exhausted=WRITERS_BUSY,
    )
