"""The read pool: runs a statement on a read-only connection and returns its one row."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

import asyncpg
import structlog
from sqlalchemy import URL, ClauseElement
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.bindings import Bindings
from app.core.config import Settings
from app.core.errors import InvalidQuery, ServiceUnavailable
from app.db.base import POSTGRESQL
from app.db.connection import CONNECTION_ERRORS, DATABASE_UNAVAILABLE, PooledConnection, Row, terminate
from app.db.engine import (
    CONNECT_TIMEOUT_SECONDS,
    STALE_SQLSTATES,
    UNREACHABLE,
    create_read_engine,
    read_connections,
    redact_driver_error,
)
from app.db.resource_pool import ResourcePool
from app.db.statement import EMPTY_BINDINGS, CompiledStatement, compile_statement
from app.db.watchdog import Watchdog

MAX_ATTEMPTS = 2
"""How often a statement is run if its connection turns out to be dead."""
SQLITE_TOO_DEEP = "parser stack overflow"

log = structlog.get_logger(__name__)


class ReadPool:
    """Runs at most `size` statements at once, with a bounded queue of `max_waiting` behind them.

    SQLAlchemy creates and owns the connections. The pool borrows each one once and keeps it, so that running a
    statement costs no more than the driver itself. A statement waits for a connection for at most `queue_timeout`
    seconds and runs for at most `statement_timeout`; if the server has not stopped it `grace` seconds after that, the
    connection is closed. `statements` counts the statements run so far.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        size: int,
        max_waiting: int,
        queue_timeout: float,
        statement_timeout: float,
        grace: float = CONNECT_TIMEOUT_SECONDS,
    ) -> None:
        self._engine = engine
        self._closing: set[asyncio.Task[Any]] = set()
        self._slots = ResourcePool((PoolSlot() for _ in range(size)), max_waiting=max_waiting, timeout=queue_timeout)
        self._statement_timeout = statement_timeout
        self._watchdog: Watchdog[PooledConnection] = Watchdog(statement_timeout + grace, self._abandon)
        self._run: Callable[[PooledConnection, str, list[Any]], Awaitable[Row]] = (
            self._run_postgresql if engine.dialect.name == POSTGRESQL else self._run_sqlite
        )
        self.statements = 0

    @classmethod
    def open(cls, url: URL, settings: Settings) -> Self:
        """Create the pool for a database URL, not yet connected."""
        size = read_connections(url, settings.db_pool_size)
        return cls(
            create_read_engine(url, size, settings.db_statement_timeout),
            size=size,
            max_waiting=settings.db_queue_size,
            queue_timeout=settings.db_queue_timeout,
            statement_timeout=settings.db_statement_timeout,
        )

    def compile(self, clause: ClauseElement) -> CompiledStatement:
        """Compile a SQLAlchemy statement for this database."""
        return compile_statement(clause, self._engine.dialect)

    async def fetch(self, clause: ClauseElement, bindings: Bindings = EMPTY_BINDINGS) -> Row:
        """Run a SQLAlchemy statement and return its one row; raises as `fetch_one` does."""
        return await self.fetch_one(self.compile(clause), bindings)

    async def fetch_one(self, statement: CompiledStatement, bindings: Bindings = EMPTY_BINDINGS) -> Row:
        """Run a statement and return its one row as the driver does: JSON is text.

        Any error of the database that is not listed is raised as it is.

        Raises:
            ServiceUnavailable: The database is unreachable, too many statements are waiting, or this one ran too long.
            InvalidQuery: The statement is nested deeper than SQLite can parse.
            ValueError: A bound value doesn't fit its type.
        """
        values = statement.bind(bindings)
        slot = self._slots.acquire_nowait() or await self._slots.acquire()
        self.statements += 1
        attempts = MAX_ATTEMPTS
        try:
            while True:
                connection = slot.connection or await self._connect(slot)
                self._watchdog.track(connection)
                try:
                    return await self._run(connection, statement.text, values)
                except BaseException as error:
                    failure, attempts = self._handle_error(error, slot), attempts - 1
                    if not attempts or not isinstance(failure, _StaleConnection):
                        raise failure from error
                finally:
                    self._watchdog.untrack(connection)
        finally:
            self._slots.release(slot)

    async def dispose(self) -> None:
        """Close every connection that is not in use. The next statement opens a new one."""
        self._watchdog.stop()
        self._close_idle()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._engine.dispose()

    async def _connect(self, slot: "PoolSlot") -> PooledConnection:
        try:
            owner = await self._engine.raw_connection()
        except (*UNREACHABLE, DBAPIError, self._engine.dialect.loaded_dbapi.Error) as error:
            log.warning("database_unavailable", error=type(error).__name__)
            raise ServiceUnavailable(DATABASE_UNAVAILABLE) from error
        slot.connection = PooledConnection(owner)
        return slot.connection

    def _run_postgresql(self, connection: PooledConnection, text: str, values: list[Any]) -> Awaitable[Row]:
        prepared = connection.prepared.get(text, None)
        row: Awaitable[Row] = prepared.fetchrow(*values) if prepared else self._prepare(connection, text, values)
        return row

    async def _prepare(self, connection: PooledConnection, text: str, values: list[Any]) -> Row:
        row: Row = await connection.prepared.set(text, await connection.driver.prepare(text)).fetchrow(*values)
        return row

    async def _run_sqlite(self, connection: PooledConnection, text: str, values: list[Any]) -> Row:
        connection.owner.info["deadline"].start(self._statement_timeout)
        rows: list[Row] = await connection.driver.execute_fetchall(text, values)
        return rows[0]

    def _abandon(self, connection: PooledConnection) -> None:
        connection.abandoned = True
        self._close_in_background(connection)

    def _handle_error(self, error: BaseException, slot: "PoolSlot") -> BaseException:
        """Return what to raise for a statement's error; a connection that is unusable afterwards leaves its slot."""
        redact_driver_error(error)
        if slot.connection is None or slot.connection.abandoned:
            slot.connection = None
            return ServiceUnavailable(DATABASE_UNAVAILABLE)
        failure = self._translate_error(error)
        if isinstance(failure, _StaleConnection) or not isinstance(error, Exception):
            self._close_in_background(slot.connection)
            slot.connection = None
        return failure

    def _translate_error(self, error: BaseException) -> BaseException:
        """Return the error to raise for a driver's error; it may be the same."""
        if isinstance(error, asyncpg.QueryCanceledError | TimeoutError) or str(error) == "interrupted":
            seconds = self._statement_timeout
            return _StatementTimeout(f"The query took longer than the {seconds:g} s allowed; request less data")
        if str(error) == SQLITE_TOO_DEEP:
            return InvalidQuery("The query is nested too deeply")
        code = getattr(error, "sqlstate", None) or ""
        if isinstance(error, CONNECTION_ERRORS) or code.startswith(STALE_SQLSTATES):
            self._close_idle()  # the other connections are as old as this one, and so they are dead too
            return _StaleConnection(DATABASE_UNAVAILABLE)
        if isinstance(error, asyncpg.DataError):
            return ValueError(str(error))
        return error

    def _close_idle(self) -> None:
        for slot in self._slots.free:
            if slot.connection is not None:
                self._close_in_background(slot.connection)
                slot.connection = None

    def _close_in_background(self, connection: PooledConnection) -> None:
        """Close a connection without waiting for it, because it may hang."""
        task = asyncio.ensure_future(terminate(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class PoolSlot:
    """A permit to run one statement, with its connection, once that is open."""

    __slots__ = ("connection",)

    def __init__(self) -> None:
        self.connection: PooledConnection | None = None


class _StaleConnection(ServiceUnavailable):
    """The connection was dead, or older than a change of the tables; a new one may work."""


class _StatementTimeout(ServiceUnavailable):
    """The statement was stopped; its connection is still usable."""
