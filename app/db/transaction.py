"""The write transaction: runs statements on the driver's own connection, which adds little to their own cost."""

import sqlite3
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.core.bindings import Bindings
from app.core.cache import LRUCache
from app.core.errors import InvalidPayload, SchemaChanged
from app.db.base import POSTGRESQL
from app.db.connection import PooledConnection, Row
from app.db.driver_errors import (
    READ_ONLY_SQLSTATE,
    OutcomeUnknown,
    StaleConnection,
    StatementTimeout,
)
from app.db.drivers import driver_errors
from app.db.statement import EMPTY_BINDINGS, CompiledStatement, compile_statement

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
    """One transaction, in which either every statement takes effect or none.

    A statement may take `statement_timeout` seconds. The methods that run statements raise:

    Raises:
        StaleConnection: The connection broke.
        StatementTimeout: The statement took too long.
        InvalidPayload: The driver or the database rejects the statement because of its size, depth or values.
        IntegrityError: The write violates a constraint.
        DBAPIError: Any other error of the database.
        ValueError: A bound value doesn't fit its type.
    """

    def __init__(
        self, connection: PooledConnection, dialect: Dialect, prepared: PreparedQueries, statement_timeout: float
    ) -> None:
        self._driver, self._deadline, self._prepared = connection.driver, connection.deadline, prepared
        self._statement_timeout = statement_timeout
        self._deferred: list[BoundStatement] = []
        """Statements that are sent together with the next one."""
        self.committed = self.committing = self.failed = False
        """Whether the changes are permanent or may be, and whether a statement failed, after which none can succeed."""
        self.after_commit: Callable[[], Coroutine[Any, Any, None]] | None = None
        """Work to do once the transaction is committed, even if its task is cancelled."""
        self.dialect = dialect
        self.postgresql = dialect.name == POSTGRESQL
        self._errors = driver_errors(dialect.name)

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

        Raises IndexError if there is no row.
        """
        return (await self.fetch_all(statement, bindings))[0]

    async def fetch(self, clause: ClauseElement, bindings: Bindings = EMPTY_BINDINGS) -> Row:
        """Run a SQLAlchemy statement and return its first row."""
        return await self.fetch_one(self.compile(clause), bindings)

    async def execute(self, clause: ClauseElement, bindings: Bindings = EMPTY_BINDINGS) -> Sequence[Row]:
        """Run a SQLAlchemy statement and return all its rows."""
        return await self.fetch_all(self.compile(clause), bindings)

    async def rows(self, query: PreparedQuery, bindings: Bindings = EMPTY_BINDINGS) -> list[list[Any]]:
        """Run a prepared query and return all its rows, decoded."""
        rows = [list(row) for row in await self.fetch_all(query.statement, bindings)]
        for row in rows:
            for index, decode in query.decoders:
                row[index] = decode(row[index])
        return rows

    async def fetch_all(self, statement: CompiledStatement, bindings: Bindings = EMPTY_BINDINGS) -> Sequence[Row]:
        """Run a statement and return all its rows as the driver does."""
        return await self._run((statement.text, statement.bind(bindings)))

    async def execute_batch(self, statements: Iterable[CompiledStatement], bindings: Bindings) -> Sequence[Row]:
        """Run several statements in order, on SQLite in one hop to its thread; return the rows of the last."""
        return await self._run(*((statement.text, statement.bind(bindings)) for statement in statements))

    async def fetch_and_commit(self, statement: CompiledStatement, bindings: Bindings, decode: Callable[[Row], T]) -> T:
        """Run the last statement and return its first row, decoded. If `decode` raises, the transaction fails.

        On SQLite the commit goes along, which saves a hop to its thread.
        """
        last = (statement.text, statement.bind(bindings))
        if self.postgresql:
            return decode((await self._run(last))[0])
        result: T = await self._run_in_thread(self._run_and_commit, last, decode)
        return result

    async def begin(self, *commands: str) -> None:
        """Begin the transaction; on SQLite together with its first statement, which saves a hop to its thread."""
        if self.postgresql:
            await self._send("; ".join(commands))
        else:
            self._deferred = [(command, ()) for command in commands]

    async def commit(self) -> None:
        """Make every change permanent, if there is any that is not yet.

        Raises:
            OutcomeUnknown: The connection broke meanwhile.
        """
        if self.postgresql:
            self.committing = True
            try:
                await self._send(COMMIT)
            except StaleConnection as error:
                raise OutcomeUnknown from error
        elif not (self.committed or self._deferred):
            await self._run((COMMIT, ()))
        self.committed = True

    async def rollback(self) -> None:
        """Undo every change, unless it is committed."""
        if self.postgresql:
            await self._send("ROLLBACK")
            return
        try:
            await self._driver.rollback()
        except self._errors.raised as error:
            self._raise_translated(error)

    async def _send(self, commands: str) -> None:
        try:
            await self._driver.execute(commands)
        except self._errors.raised as error:
            self._raise_translated(error)

    async def _run(self, *statements: BoundStatement) -> Sequence[Row]:
        if not self.postgresql:
            rows: Sequence[Row] = await self._run_in_thread(_run_all, *statements)
            return rows
        try:
            for text, values in statements:
                rows = await self._driver.fetch(text, *values)
        except self._errors.raised as error:
            self._raise_translated(error)
        return rows

    async def _run_in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Call `work` with the driver, the deferred statements and the arguments in SQLite's own thread."""
        deferred, self._deferred = self._deferred, []
        if self._deadline is not None:
            self._deadline.start(self._statement_timeout)
        try:
            return await self._driver._execute(work, self._driver, *deferred, *arguments)  # noqa: SLF001  # no public method takes several at once
        except self._errors.raised as error:
            self._raise_translated(error)

    def _run_and_commit(self, driver: Any, *arguments: Any) -> Any:
        *statements, decode = arguments
        result = decode(_run_all(driver, *statements)[0])
        _run_all(driver, (COMMIT, ()))
        self.committed = True  # here, as the task that waits for this thread may have been cancelled
        return result

    def _raise_translated(self, error: Exception) -> NoReturn:
        """Raise what the methods of this class promise for a driver's error."""
        self.failed = True
        self._errors.redact(error)
        code = str(getattr(error, "sqlstate", None) or "")
        if isinstance(error, sqlite3.IntegrityError) or code.startswith(INTEGRITY_SQLSTATES):
            raise IntegrityError(None, None, error, hide_parameters=True) from error
        if self._errors.is_timeout(error):
            raise StatementTimeout(self._statement_timeout) from error
        if self._errors.is_missing_column(error):
            raise SchemaChanged from error
        if reason := self._errors.rejection_reason(error):
            raise InvalidPayload(reason) from error
        if self._errors.is_stale(error) or code == READ_ONLY_SQLSTATE:
            raise StaleConnection from error
        raise DBAPIError(None, None, error, hide_parameters=True) from error


def _run_all(driver: Any, *statements: BoundStatement) -> Sequence[Row]:
    """Run statements on SQLite's own thread; return the rows of the last."""
    for text, values in statements:
        rows: Sequence[Row] = driver._execute_fetchall(text, values)  # noqa: SLF001  # as in WriteTransaction._run_in_thread
    return rows
