"""The read pool: runs a statement on a read-only connection and returns its one row."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self

import structlog
from sqlalchemy import URL, BindParameter, ClauseElement
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.bindings import Bindings
from app.core.config import TRANSACTION_POOLER, Settings
from app.core.errors import InvalidQuery, SchemaChanged, ServiceUnavailable
from app.core.watchdog import Watchdog
from app.db.base import POSTGRESQL
from app.db.connection import PooledConnection, Row, has_timed_out, terminate
from app.db.driver_errors import DATABASE_UNAVAILABLE, StaleConnection, StatementTimeout
from app.db.drivers import driver_errors
from app.db.engine import (
    create_read_engine,
    read_connections,
    reserved_connections,
)
from app.db.postgresql import CONNECT_TIMEOUT_SECONDS
from app.db.resource_pool import Owner, ResourcePool
from app.db.statement import EMPTY_BINDINGS, CompiledStatement, ParameterFactory, compile_statement, value_factory
from app.tracing.tracer import Tracer

TEXT_SEARCH = " LIKE "
"""What SQL that searches texts contains.

PostgreSQL plans such a statement for the text that it searches for each time: after five runs a prepared statement may
get one plan for all texts, which assumes that many rows match, and reads every row for a text that is rare. It is
prepared without a name, because PostgreSQL would count the runs of a name.
"""
MAX_ATTEMPTS = 2
"""How often a statement is run if its connection turns out to be dead."""

SLOW_SECONDS, SLOW_CHECK_SECONDS = 0.2, 0.1
"""A statement is slow when it has been running for so long; how often the running ones are checked."""

POOL_EXHAUSTED = "Too many requests are waiting for the database; try again later"

log = structlog.get_logger(__name__)


class ReadPool:
    """Runs at most `size` statements at once, with a bounded queue of `max_waiting` behind them.

    SQLAlchemy creates and owns the connections. The pool borrows each one once and keeps it, so that running a
    statement costs no more than the driver itself. A statement waits for a connection for at most `queue_timeout`
    seconds and runs for at most `statement_timeout`; if the server has not stopped it `grace` seconds after that, it is
    cancelled. An owner with a slow statement runs few at once, because slow ones use up the database's processors. A
    cancelled statement keeps its connection until the server has stopped it; if that takes more than `grace` seconds
    again, the connection is closed. Behind a `pooler` in transaction mode statements are not prepared, and the pool
    itself stops those that run too long. `statements` counts the statements run so far; `errors` has those of the
    driver.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        size: int,
        reserved: int,
        max_waiting: int,
        queue_timeout: float,
        statement_timeout: float,
        grace: float = CONNECT_TIMEOUT_SECONDS,
        pooler: bool = False,
    ) -> None:
        self._engine, self.errors = engine, driver_errors(engine.dialect.name)
        self._background: set[asyncio.Task[None]] = set()
        self._slots = ResourcePool(
            (PoolSlot() for _ in range(size + reserved)),
            max_waiting=max_waiting,
            timeout=queue_timeout,
            reserved=reserved,
            exhausted=POOL_EXHAUSTED,
        )
        self._statement_timeout, self._grace, self.has_pooler = statement_timeout, grace, pooler
        self._cancel_seconds = statement_timeout if pooler else statement_timeout + grace
        self._watchdog: Watchdog[PoolSlot] = Watchdog(SLOW_SECONDS, self._handle_slow, SLOW_CHECK_SECONDS)
        self._run: Callable[[PooledConnection, str, list[Any]], Awaitable[list[Row]]] = (
            self._run_sqlite if engine.dialect.name != POSTGRESQL else _run_once if pooler else self._run_postgresql
        )
        self.statements = 0

    def trace(self, tracer: Tracer) -> None:
        """Report every statement to a tracer from now on."""
        run, system = self._run, self._engine.dialect.name

        async def run_in_span(connection: PooledConnection, text: str, values: list[Any]) -> list[Row]:
            with tracer.statement(system, text):
                return await run(connection, text, values)

        def traced(connection: PooledConnection, text: str, values: list[Any]) -> Awaitable[list[Row]]:
            return (run_in_span if tracer.is_recording else run)(connection, text, values)

        self._run = traced

    @property
    def slots(self) -> ResourcePool["PoolSlot"]:
        """The permits to run a statement, with their connections."""
        return self._slots

    @classmethod
    def open(cls, url: URL, settings: Settings) -> Self:
        """Create the pool for a database URL, not yet connected."""
        size, reserved = read_connections(url, settings.db_pool_size), reserved_connections(url)
        pooler = settings.db_pooler == TRANSACTION_POOLER
        return cls(
            create_read_engine(url, size + reserved, settings.db_statement_timeout, pooler=pooler),
            size=size,
            reserved=reserved,
            max_waiting=settings.db_queue_size,
            queue_timeout=settings.db_queue_timeout,
            statement_timeout=settings.db_statement_timeout,
            pooler=pooler,
        )

    def compile(self, clause: ClauseElement) -> CompiledStatement:
        """Compile a SQLAlchemy statement for this database."""
        return compile_statement(clause, self._engine.dialect)

    def value_factory(self, parameter: BindParameter[Any]) -> ParameterFactory:
        """Return a function that makes the value of a bound parameter, in the form this database's driver takes."""
        return value_factory(parameter, self._engine.dialect)

    async def fetch(self, clause: ClauseElement, bindings: Bindings = EMPTY_BINDINGS, owner: Owner = None) -> Row:
        """Run a SQLAlchemy statement and return its one row; raises as `fetch_one` does."""
        return await self.fetch_one(clause, bindings, owner)

    async def fetch_one(
        self, statement: CompiledStatement | ClauseElement, bindings: Bindings = EMPTY_BINDINGS, owner: Owner = None
    ) -> Row:
        """Run a statement and return its one row as the driver does: JSON is text.

        The statement counts as one of its `owner`, who uses only a part of the connections at once. One of SQLAlchemy
        is compiled once it has its connection, as compiling a large one keeps all others waiting. Any error of the
        database that is not listed is raised as it is.

        Raises:
            ServiceUnavailable: The database is unreachable, too many statements are waiting, or this one ran too long.
            InvalidQuery: The driver or the database rejects the statement because of its size, depth or values.
            ValueError: A bound value doesn't fit its type.
        """
        slot = self._slots.acquire_nowait(owner) or await self._slots.acquire(owner)
        slot.owner = owner
        self.statements += 1
        attempts = MAX_ATTEMPTS
        try:
            compiled = statement if isinstance(statement, CompiledStatement) else self.compile(statement)
            values = compiled.bind(bindings)
            while True:
                connection = slot.connection or await self._connect(slot)
                connection.task = asyncio.current_task(connection.loop)  # to look up the loop takes as long again
                self._watchdog.track(slot)
                try:
                    return (await self._run(connection, compiled.text, values))[0]
                except BaseException as error:
                    failure, attempts = self._handle_error(error, slot, connection), attempts - 1
                    if not attempts or not isinstance(failure, StaleConnection):
                        raise failure from error
                finally:
                    self._watchdog.untrack(slot)
        finally:
            if not slot.stopping:
                self._slots.release(slot, slot.owner)

    def note_stale_access(self, owner: Owner) -> None:
        """Do nothing: every statement runs on the primary."""

    async def dispose(self) -> None:
        """Close every connection that is not in use. The next statement opens a new one."""
        self._watchdog.stop()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._close_idle()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._engine.dispose()

    async def _connect(self, slot: "PoolSlot") -> PooledConnection:
        try:
            owner = await self._engine.raw_connection()
        except self.errors.unreachable + self.errors.own as error:
            log.warning("database_unavailable", error=type(error.__cause__ or error).__name__)
            raise ServiceUnavailable(DATABASE_UNAVAILABLE) from error
        slot.connection = PooledConnection(owner)
        return slot.connection

    def _run_postgresql(self, connection: PooledConnection, text: str, values: list[Any]) -> Awaitable[list[Row]]:
        """Run a statement and return its rows, which is one.

        All rows are requested instead of one: PostgreSQL runs no statement in parallel whose rows it may have to stop
        at a number.
        """
        prepared = connection.prepared.get(text, None)
        rows: Awaitable[list[Row]] = prepared.fetch(*values) if prepared else self._prepare(connection, text, values)
        return rows

    async def _prepare(self, connection: PooledConnection, text: str, values: list[Any]) -> list[Row]:
        if TEXT_SEARCH in text:
            searched: list[Row] = await (await connection.driver.prepare(text, name="")).fetch(*values)
            return searched
        rows: list[Row] = await connection.prepared.set(text, await connection.driver.prepare(text)).fetch(*values)
        return rows

    async def _run_sqlite(self, connection: PooledConnection, text: str, values: list[Any]) -> list[Row]:
        if connection.deadline is not None:
            connection.deadline.start(self._statement_timeout)
        rows: list[Row] = await connection.driver.execute_fetchall(text, values)
        return rows

    def _handle_error(self, error: BaseException, slot: "PoolSlot", connection: PooledConnection) -> BaseException:
        """Return what to raise for a statement's error; take care of its connection, which may still be busy."""
        self.errors.redact(error)
        timed_out = has_timed_out(connection)
        if timed_out or not isinstance(error, Exception):
            slot.stopping = True
            self._run_in_background(self._stop(slot, connection))
            return self._timeout() if timed_out else error
        if self.errors.is_timeout(error):
            return StatementTimeout(self._statement_timeout)
        if self.errors.is_missing_column(error):
            return SchemaChanged()
        if reason := self.errors.rejection_reason(error):
            return InvalidQuery(reason)
        if self.errors.is_stale(error):
            slot.connection = None
            self._run_in_background(terminate(connection))
            self._close_idle()  # the other connections are as old as this one, and so they are dead too
            return StaleConnection()
        return error

    def _timeout(self) -> ServiceUnavailable:
        """Return the error of a statement that the pool stopped, which means a silent server unless that is its job."""
        return (
            StatementTimeout(self._statement_timeout) if self.has_pooler else ServiceUnavailable(DATABASE_UNAVAILABLE)
        )

    def _handle_slow(self, slot: "PoolSlot") -> None:
        self._slots.limit(slot.owner)
        if self._watchdog.seconds_running(slot) > self._cancel_seconds and slot.connection:
            slot.connection.cancel_task()

    async def _stop(self, slot: "PoolSlot", connection: PooledConnection) -> None:
        """Release the slot of a cancelled statement once that has ended; close a connection on which it does not."""
        connection.interrupt()
        try:
            async with asyncio.timeout(self._grace):
                await connection.wait_until_idle()
        except Exception:  # noqa: BLE001  # whatever it is, the connection is of no more use
            slot.connection = None
            await terminate(connection)
        finally:
            slot.stopping = False
            self._slots.release(slot, slot.owner)

    def _close_idle(self) -> None:
        for slot in self._slots.free:
            if slot.connection is not None:
                self._run_in_background(terminate(slot.connection))
                slot.connection = None

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what closes or frees a connection without waiting for it, because it may hang."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _run_once(connection: PooledConnection, text: str, values: list[Any]) -> Awaitable[list[Row]]:
    """Run a statement on PostgreSQL without preparing it, because its next use may be in another session."""
    rows: Awaitable[list[Row]] = connection.driver.fetch(text, *values)
    return rows


class PoolSlot:
    """A permit to run one statement, with its connection, once that is open.

    While it is `stopping`, the server has not yet stopped a cancelled statement.
    """

    __slots__ = ("connection", "owner", "stopping")

    def __init__(self) -> None:
        self.connection: PooledConnection | None = None
        self.owner: Owner = None
        self.stopping = False
