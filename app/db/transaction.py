"""The write transaction: runs statements on the driver's own connection, which adds little to their own cost."""

import sqlite3
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import asyncpg
from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.core.bindings import Bindings
from app.core.cache import LRUCache
from app.db.base import POSTGRESQL
from app.db.connection import CONNECTION_ERRORS, Row
from app.db.engine import STALE_SQLSTATES, redact_driver_error
from app.db.statement import EMPTY_BINDINGS, CompiledStatement, compile_statement

DRIVER_ERRORS = (*CONNECTION_ERRORS, asyncpg.PostgresError, sqlite3.Error)
INTEGRITY_SQLSTATES = "23"
COMMIT = "COMMIT"

T = TypeVar("T")
BoundStatement = tuple[str, Sequence[Any]]
"""A statement's text and its parameters."""
Decoder = Callable[[Any], Any]
"""SQLAlchemy's result processor: a driver's value -> the Python value."""


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A compiled statement that returns rows, with the index and the decoder of each column that needs one."""

    statement: CompiledStatement
    decoders: tuple[tuple[int, Decoder], ...]


PreparedQueries = LRUCache[Hashable, PreparedQuery]


class WriteTransaction:
    """One transaction, in which either every statement takes effect or none."""

    def __init__(self, driver: Any, dialect: Dialect, prepared: PreparedQueries) -> None:
        self._driver, self._prepared = driver, prepared
        self._deferred: list[BoundStatement] = []
        """Statements that are sent together with the next one."""
        self._committed = False
        self.dialect = dialect
        self.postgresql = dialect.name == POSTGRESQL

    def compile(self, clause: ClauseElement) -> CompiledStatement:
        """Compile a SQLAlchemy statement for this database."""
        return compile_statement(clause, self.dialect)

    def prepare(self, clause: Any) -> PreparedQuery:
        """Compile a SELECT, or another statement that may return rows, with the decoders of its column types."""
        types = (column.type.dialect_impl(self.dialect) for column in clause.exported_columns)
        decoders = enumerate(type_.result_processor(self.dialect, None) for type_ in types)
        return PreparedQuery(
            self.compile(clause), tuple((index, decode) for index, decode in decoders if decode is not None)
        )

    def prepare_cached(self, make: Callable[..., Any], *arguments: Hashable) -> PreparedQuery:
        """Return the prepared query of the clause that `make` builds from these arguments; it is built once."""
        key = (make, *arguments)
        return self._prepared.get(key, None) or self._prepared.set(key, self.prepare(make(*arguments)))

    async def fetch_one(self, statement: CompiledStatement, bindings: Bindings = EMPTY_BINDINGS) -> Row:
        """Run a statement and return its first row as the driver does.

        Raises as `fetch_all` does, and IndexError if there is no row.
        """
        return (await self.fetch_all(statement, bindings))[0]

    async def fetch(self, clause: ClauseElement, bindings: Bindings = EMPTY_BINDINGS) -> Row:
        """Run a SQLAlchemy statement and return its first row; raises as `fetch_one` does."""
        return await self.fetch_one(self.compile(clause), bindings)

    async def execute(self, clause: ClauseElement, bindings: Bindings = EMPTY_BINDINGS) -> Sequence[Row]:
        """Run a SQLAlchemy statement and return all its rows; raises as `fetch_all` does."""
        return await self.fetch_all(self.compile(clause), bindings)

    async def rows(self, query: PreparedQuery, bindings: Bindings = EMPTY_BINDINGS) -> list[list[Any]]:
        """Run a prepared query and return all its rows, decoded; raises as `fetch_all` does."""
        rows = [list(row) for row in await self.fetch_all(query.statement, bindings)]
        for row in rows:
            for index, decode in query.decoders:
                row[index] = decode(row[index])
        return rows

    async def fetch_all(self, statement: CompiledStatement, bindings: Bindings = EMPTY_BINDINGS) -> Sequence[Row]:
        """Run a statement and return all its rows as the driver does.

        Raises:
            DBAPIError: The database rejects the statement, or the connection broke.
            IntegrityError: The write violates a constraint.
            ValueError: A bound value doesn't fit its type.
        """
        return await self._run((statement.text, statement.bind(bindings)))

    async def execute_batch(self, statements: Iterable[CompiledStatement], bindings: Bindings) -> Sequence[Row]:
        """Run several statements in order, on SQLite in one hop to its thread; return the rows of the last.

        Raises as `fetch_all` does.
        """
        return await self._run(*((statement.text, statement.bind(bindings)) for statement in statements))

    async def fetch_and_commit(self, statement: CompiledStatement, bindings: Bindings, decode: Callable[[Row], T]) -> T:
        """Run the last statement and return its first row, decoded. If `decode` raises, the transaction fails.

        On SQLite the commit goes along, which saves a hop to its thread. Raises as `fetch_all` does.
        """
        last = (statement.text, statement.bind(bindings))
        if self.postgresql:
            return decode((await self._run(last))[0])
        statements, self._deferred = (*self._deferred, last), []
        try:
            result: T = await self._driver._execute(_run_and_commit, self._driver, statements, decode)  # noqa: SLF001  # as in _run
        except DRIVER_ERRORS as error:
            raise_as_dbapi_error(error)
        self._committed = True
        return result

    async def begin(self, *commands: str) -> None:
        """Begin the transaction; on SQLite together with its first statement, which saves a hop to its thread.

        Raises as `fetch_all` does.
        """
        if self.postgresql:
            await self._send("; ".join(commands))
        else:
            self._deferred = [(command, ()) for command in commands]

    async def commit(self) -> None:
        """Make every change permanent, if there is any that is not yet; raises as `fetch_all` does."""
        if self.postgresql:
            await self._send(COMMIT)
        elif not (self._committed or self._deferred):
            await self._run((COMMIT, ()))

    async def rollback(self) -> None:
        """Undo every change; raises as `fetch_all` does."""
        if self.postgresql:
            await self._send("ROLLBACK")
            return
        try:
            await self._driver.rollback()
        except DRIVER_ERRORS as error:
            raise_as_dbapi_error(error)

    async def _send(self, commands: str) -> None:
        try:
            await self._driver.execute(commands)
        except DRIVER_ERRORS as error:
            raise_as_dbapi_error(error)

    async def _run(self, *statements: BoundStatement) -> Sequence[Row]:
        try:
            if self.postgresql:
                for text, values in statements:
                    rows: Sequence[Row] = await self._driver.fetch(text, *values)
            else:
                statements, self._deferred = (*self._deferred, *statements), []
                rows = await self._driver._execute(_run_all, self._driver, statements)  # noqa: SLF001  # no public method takes several at once
        except DRIVER_ERRORS as error:
            raise_as_dbapi_error(error)
        return rows


def _run_all(driver: Any, statements: Iterable[BoundStatement]) -> Sequence[Row]:
    """Run statements on SQLite's own thread; return the rows of the last."""
    for text, values in statements:
        rows: Sequence[Row] = driver._execute_fetchall(text, values)  # noqa: SLF001  # as in WriteTransaction._run
    return rows


def _run_and_commit(driver: Any, statements: Iterable[BoundStatement], decode: Callable[[Row], T]) -> T:
    result = decode(_run_all(driver, statements)[0])
    _run_all(driver, [(COMMIT, ())])
    return result


def raise_as_dbapi_error(error: Exception) -> NoReturn:
    """Raise the SQLAlchemy error for a driver's error.

    Raises:
        IntegrityError: The write violates a constraint.
        DBAPIError: Anything else; `connection_invalidated` says that the connection is unusable.
    """
    redact_driver_error(error)
    code = str(getattr(error, "sqlstate", None) or "")
    if isinstance(error, sqlite3.IntegrityError) or code.startswith(INTEGRITY_SQLSTATES):
        raise IntegrityError(None, None, error, hide_parameters=True) from error
    broken = isinstance(error, CONNECTION_ERRORS) or code.startswith(STALE_SQLSTATES)
    raise DBAPIError(None, None, error, hide_parameters=True, connection_invalidated=broken) from error
