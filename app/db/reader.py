"""One statement in, its row out: read-only, bounded in time and in number, and healing by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import structlog
from sqlalchemy import URL, Engine, Row, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import greenlet_spawn

from app.core.config import Settings
from app.core.errors import ServiceUnavailable
from app.db.engine import UNREACHABLE, reading_engine, sqlstate

AWAY = "The database can't be reached right now; try again soon"
CROWDED = "Too many requests are waiting for the database; try again in a moment"
STOPPED = "57014"

log = structlog.get_logger(__name__)


class Reader:
    """Asks the database, with at most `slots` statements at once and a bounded queue behind them.

    `statements` counts what was asked since it was opened.
    """

    def __init__(self, engine: Engine, *, slots: int, queue: int, patience: float, seconds: float) -> None:
        self._engine = engine
        self._gate = asyncio.Semaphore(slots)
        self._queue = queue
        self._patience = patience
        self._seconds = seconds
        self._waiting = 0
        self.statements = 0

    @classmethod
    def open(cls, url: URL, settings: Settings) -> Self:
        """A reader of the database at `url`, not yet connected to."""
        engine = reading_engine(url, settings.db_pool_size, settings.db_statement_timeout)
        return cls(
            engine.sync_engine,
            slots=settings.db_pool_size,
            queue=settings.db_queue_size,
            patience=settings.db_queue_timeout,
            seconds=settings.db_statement_timeout,
        )

    async def fetch(self, statement: Select[Any]) -> Row[Any]:
        """The one row that `statement` answers; json in it is text on both databases, unless typed as `Json`.

        Raises ServiceUnavailable when the database is away, too many are waiting, or the statement takes longer
        than allowed. Anything else the database objects to is raised as it comes.
        """
        async with self._turn():
            self.statements += 1
            try:
                return await self._ask(statement)
            except _Stale:
                return await self._ask(statement)

    async def dispose(self) -> None:
        """Close every connection that isn't in use; the next statement opens new ones."""
        await greenlet_spawn(self._engine.dispose)

    async def _ask(self, statement: Select[Any]) -> Row[Any]:
        try:
            return await greenlet_spawn(self._execute, statement)
        except (*UNREACHABLE, DBAPIError) as error:
            if refused := self._worded(error):
                raise refused from error
            raise

    def _execute(self, statement: Select[Any]) -> Row[Any]:
        with self._engine.connect() as connection:
            if deadline := connection.info.get("deadline"):
                deadline.start(self._seconds)
            return connection.execute(statement).one()

    def _worded(self, error: Exception) -> ServiceUnavailable | None:
        if not isinstance(error, DBAPIError) or error.statement is None:
            log.warning("database away", error=type(error).__name__)
            return ServiceUnavailable(AWAY)
        if sqlstate(error) == STOPPED or str(error.orig) == "interrupted":
            return ServiceUnavailable(f"The answer took longer than the {self._seconds:g} s allowed; ask for less")
        return _Stale(AWAY) if error.connection_invalidated else None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._gate.locked():
            await self._wait()
        else:
            await self._gate.acquire()
        try:
            yield
        finally:
            self._gate.release()

    async def _wait(self) -> None:
        if self._waiting >= self._queue:
            raise ServiceUnavailable(CROWDED)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._gate.acquire()
        except TimeoutError:
            raise ServiceUnavailable(CROWDED) from None
        finally:
            self._waiting -= 1


class _Stale(ServiceUnavailable):
    """The connection was dead, or had outlived a change of the tables; a new one may serve."""
