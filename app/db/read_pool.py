"""One statement in, its row out: read-only, bounded in time and in number, and healing by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

import asyncpg
import structlog
from sqlalchemy import URL, ClauseElement
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.bindings import Bindings
from app.core.config import Settings
from app.core.errors import InvalidQuery, ServiceUnavailable
from app.db.connection import PooledConnection, terminate
from app.db.engine import (
    CONNECT_TIMEOUT_SECONDS,
    STALE_SQLSTATES,
    UNREACHABLE,
    create_read_engine,
    read_connections,
    redact_driver_error,
)
from app.db.pool import ResourcePool
from app.db.statement import CompiledStatement, compile_statement
from app.db.watchdog import Watchdog

DATABASE_UNAVAILABLE = "The database can't be reached right now; try again soon"
BROKEN = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
NOTHING: Bindings = {}
TRIES = 2
"""How often a statement is asked whose connection turns out to be dead."""
SQLITE_TOO_DEEP = "parser stack overflow"

Row = Sequence[Any]

log = structlog.get_logger(__name__)


class ReadPool:
    """Asks the database, with at most `slots` statements at once and a bounded queue behind them.

    SQLAlchemy makes and owns the connections; they are lent out once and kept, so that asking costs no more than the
    driver itself. A statement waits for its turn `patience` seconds and runs `seconds`; where the server doesn't end
    it within a `grace` of so many more, it is given up, and so is its connection. `statements` counts what was asked
    since it was opened.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        slots: int,
        queue: int,
        patience: float,
        seconds: float,
        grace: float = CONNECT_TIMEOUT_SECONDS,
    ) -> None:
        self._engine = engine
        self._leaving: set[asyncio.Task[Any]] = set()
        self._seats = ResourcePool((PoolSlot() for _ in range(slots)), queue=queue, patience=patience)
        self._seconds = seconds
        self._watch: Watchdog[PooledConnection] = Watchdog(seconds + grace, self._over)
        self._ask: Callable[[PooledConnection, str, list[Any]], Awaitable[Row]] = (
            self._ask_postgresql if engine.dialect.name == "postgresql" else self._ask_sqlite
        )
        self.statements = 0

    @classmethod
    def open(cls, url: URL, settings: Settings) -> Self:
        """A reader of the database at `url`, not yet connected to."""
        slots = read_connections(url, settings.db_pool_size)
        return cls(
            create_read_engine(url, slots, settings.db_statement_timeout),
            slots=slots,
            queue=settings.db_queue_size,
            patience=settings.db_queue_timeout,
            seconds=settings.db_statement_timeout,
        )

    def compile(self, clause: ClauseElement) -> CompiledStatement:
        """A statement as this database's driver takes it."""
        return compile_statement(clause, self._engine.dialect)

    async def fetch(self, clause: ClauseElement, given: Bindings = NOTHING) -> Row:
        """The one row that a statement of SQLAlchemy's answers; raises as `run` does."""
        return await self.fetch_one(self.compile(clause), given)

    async def fetch_one(self, statement: CompiledStatement, given: Bindings = NOTHING) -> Row:
        """The one row that `statement` answers to the values `given`, as the driver tells it; json is text.

        Raises ServiceUnavailable when the database is away, too many are waiting, or the statement takes longer
        than allowed, InvalidQuery where it is nested deeper than SQLite reads, ValueError for a value that doesn't
        fit. Anything else the database objects to is raised as it comes.
        """
        values = statement.bind(given)
        seat = self._seats.acquire_nowait() or await self._seats.acquire()
        self.statements += 1
        tries = TRIES
        try:
            while True:
                lent = seat.lent or await self._connect(seat)
                self._watch.track(lent)
                try:
                    return await self._ask(lent, statement.text, values)
                except BaseException as error:
                    refused, tries = self._refused(error, seat), tries - 1
                    if not tries or not isinstance(refused, _StaleConnection):
                        raise refused from error
                finally:
                    self._watch.untrack(lent)
        finally:
            self._seats.release(seat)

    async def dispose(self) -> None:
        """Close every connection that isn't in use; the next statement opens new ones."""
        self._watch.stop()
        self._close_idle()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._engine.dispose()

    async def _connect(self, seat: "PoolSlot") -> "PooledConnection":
        try:
            connection = await self._engine.raw_connection()
        except (*UNREACHABLE, DBAPIError, self._engine.dialect.loaded_dbapi.Error) as error:
            log.warning("database away", error=type(error).__name__)
            raise ServiceUnavailable(DATABASE_UNAVAILABLE) from error
        seat.lent = PooledConnection(connection)
        return seat.lent

    def _ask_postgresql(self, lent: "PooledConnection", text: str, values: list[Any]) -> Awaitable[Row]:
        prepared = lent.prepared.get(text, None)
        row: Awaitable[Row] = prepared.fetchrow(*values) if prepared else self._prepare(lent, text, values)
        return row

    async def _prepare(self, lent: "PooledConnection", text: str, values: list[Any]) -> Row:
        row: Row = await lent.prepared.set(text, await lent.driver.prepare(text)).fetchrow(*values)
        return row

    async def _ask_sqlite(self, lent: "PooledConnection", text: str, values: list[Any]) -> Row:
        lent.connection.info["deadline"].start(self._seconds)
        rows: list[Row] = await lent.driver.execute_fetchall(text, values)
        return rows[0]

    def _over(self, lent: "PooledConnection") -> None:
        lent.abandoned = True
        self._close_in_background(lent)

    def _refused(self, error: BaseException, seat: "PoolSlot") -> BaseException:
        """What a statement's failure is to whoever asked; a connection that is no good after it leaves its seat."""
        redact_driver_error(error)
        if seat.lent is None or seat.lent.abandoned:
            seat.lent = None
            return ServiceUnavailable(DATABASE_UNAVAILABLE)
        refused = self._translate_error(error)
        if isinstance(refused, _StaleConnection) or not isinstance(error, Exception):
            self._close_in_background(seat.lent)
            seat.lent = None
        return refused

    def _translate_error(self, error: BaseException) -> BaseException:
        """That the time is over, the connection's end, or the failure itself."""
        if isinstance(error, asyncpg.QueryCanceledError | TimeoutError) or str(error) == "interrupted":
            return _StatementTimeout(f"The answer took longer than the {self._seconds:g} s allowed; ask for less")
        if str(error) == SQLITE_TOO_DEEP:
            return InvalidQuery("The question is nested too deeply")
        code = getattr(error, "sqlstate", None) or ""
        if isinstance(error, BROKEN) or code.startswith(STALE_SQLSTATES):
            self._close_idle()  # the others are as old as this one, and so as dead
            return _StaleConnection(DATABASE_UNAVAILABLE)
        if isinstance(error, asyncpg.DataError):
            return ValueError(str(error))
        return error

    def _close_idle(self) -> None:
        for seat in self._seats.free:
            if seat.lent is not None:
                self._close_in_background(seat.lent)
                seat.lent = None

    def _close_in_background(self, lent: "PooledConnection") -> None:
        """Ends a connection in the background: one that hangs should keep nobody waiting."""
        task = asyncio.ensure_future(terminate(lent))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


class PoolSlot:
    """One of the places at the database, with the connection that is kept there, if there is one."""

    __slots__ = ("lent",)

    def __init__(self) -> None:
        self.lent: PooledConnection | None = None


class _StaleConnection(ServiceUnavailable):
    """The connection was dead, or had outlived a change of the tables; a new one may serve."""


class _StatementTimeout(ServiceUnavailable):
    """The statement was stopped; its connection is as good as before."""
