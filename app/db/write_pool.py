"""Who changes the directory, one at a time: a transaction of its own for each, on a connection that is kept."""

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
from app.db.connection import PooledConnection, terminate
from app.db.engine import BUSY_TIMEOUT_MS, UNREACHABLE
from app.db.read_pool import DATABASE_UNAVAILABLE
from app.db.transaction import Questions, WriteTransaction
from app.db.watchdog import Watchdog

T = TypeVar("T")

WRITERS_BUSY = "Others are writing to the database; try again in a moment"
BEGIN = {POSTGRESQL: ("BEGIN ISOLATION LEVEL READ COMMITTED",), "sqlite": ("BEGIN IMMEDIATE",)}
BEGIN_EXCLUSIVE = (*BEGIN[POSTGRESQL], "SELECT id FROM rollcall_lock FOR UPDATE")
PATIENCE = 2 * BUSY_TIMEOUT_MS / 1000
"""Seconds that somebody waits for his turn at most."""
LONGEST = 60.0
"""Seconds that a transaction may take before its connection is given up."""
QUESTIONS = 500
"""Statements of writes that are kept at once."""


class WritePool:
    """The transactions of those who change the directory.

    `alone`, nobody else's is under way: between processes the database's own lock sees to that, within one they wait
    here. What can't get in another's way needs no such turn, and goes aside; on SQLite there is no aside.
    """

    def __init__(self, engine: AsyncEngine, slots: int) -> None:
        self._engine = engine
        self._turn, self._slots = asyncio.Lock(), asyncio.Semaphore(slots)
        self._idle: list[PooledConnection] = []
        self._known: Questions = LRUCache(QUESTIONS)
        self._watch: Watchdog[PooledConnection] = Watchdog(LONGEST, self._over)
        self._leaving: set[asyncio.Task[None]] = set()
        self._aside = engine.dialect.name == POSTGRESQL

    async def run(self, work: Callable[[WriteTransaction], Awaitable[T]], *, exclusive: bool) -> T:
        """What `work` returns of one transaction, which is committed then, and rolled back where it raises.

        Raises ServiceUnavailable when the database is away, or others write for too long.
        """
        exclusive = exclusive or not self._aside
        gate = self._turn if exclusive else self._slots
        await _enter(gate)
        try:
            lent, writer = await self._begin(alone=exclusive)
            self._watch.track(lent)
            try:
                done = await work(writer)
                await writer.commit()
            except BaseException as error:
                await self._undo(lent, writer, error)
                raise
            finally:
                self._watch.untrack(lent)
            self._idle.append(lent)
            return done
        finally:
            gate.release()

    async def dispose(self) -> None:
        """Close the connection; the next turn opens a new one."""
        self._watch.stop()
        while self._idle:
            self._leave(self._idle.pop())
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _begin(self, *, alone: bool) -> tuple[PooledConnection, WriteTransaction]:
        """A connection with a transaction begun on it; one that has died since it was used last is replaced."""
        fresh = not self._idle
        lent = PooledConnection(await self._connect()) if fresh else self._idle.pop()
        writer = WriteTransaction(lent.driver, self._engine.dialect, self._known)
        try:
            await writer.begin(*(BEGIN_EXCLUSIVE if alone and self._aside else BEGIN[self._engine.dialect.name]))
        except BaseException as error:
            await self._undo(lent, writer, error)
            if not fresh and isinstance(error, DBAPIError) and error.connection_invalidated:
                return await self._begin(alone=alone)
            raise
        return lent, writer

    async def _connect(self) -> PoolProxiedConnection:
        try:
            return await self._engine.raw_connection()
        except PoolTimeout:
            raise ServiceUnavailable(WRITERS_BUSY) from None
        except (*UNREACHABLE, DBAPIError):
            raise ServiceUnavailable(DATABASE_UNAVAILABLE) from None

    async def _undo(self, lent: PooledConnection, writer: WriteTransaction, error: BaseException) -> None:
        """Rolls back; a connection on which that can't be done is given up, and so takes back what it did."""
        if lent.abandoned or (isinstance(error, DBAPIError) and error.connection_invalidated):
            self._leave(lent)
            return
        try:
            await writer.rollback()
        except BaseException:
            self._leave(lent)
            raise
        self._idle.append(lent)

    def _over(self, lent: PooledConnection) -> None:
        lent.abandoned = True
        self._leave(lent)

    def _leave(self, lent: PooledConnection) -> None:
        task = asyncio.ensure_future(terminate(lent))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _enter(gate: asyncio.Lock | asyncio.Semaphore) -> None:
    if not gate.locked():
        await gate.acquire()
        return
    try:
        async with asyncio.timeout(PATIENCE):
            await gate.acquire()
    except TimeoutError:
        raise ServiceUnavailable(WRITERS_BUSY) from None
