"""Statements of one transaction that writes, on the driver's own connection: what each costs is little but itself."""

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
from app.db.engine import STALE_SQLSTATES, redact_driver_error
from app.db.statement import CompiledStatement, compile_statement

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, sqlite3.Error)
INTEGRITY = "23"
COMMIT = "COMMIT"
NOTHING: Bindings = {}

T = TypeVar("T")
Row = Sequence[Any]
BoundStatement = tuple[str, Sequence[Any]]
"""A statement's text, and its parameters."""
Told = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A compiled statement that answers rows, and the places of those columns that aren't told as the driver does."""

    statement: CompiledStatement
    told: tuple[tuple[int, Told], ...]


Questions = LRUCache[Hashable, PreparedQuery]


class WriteTransaction:
    """One transaction: what it does is there when it commits, or not at all."""

    def __init__(self, driver: Any, dialect: Dialect, known: Questions) -> None:
        self._driver, self._known = driver, known
        self._ahead: list[BoundStatement] = []
        """What is still to be said before anything else."""
        self._over = False
        self.dialect = dialect
        self.postgresql = dialect.name == POSTGRESQL

    def compile(self, clause: ClauseElement) -> CompiledStatement:
        """A statement as the driver takes it."""
        return compile_statement(clause, self.dialect)

    def prepare(self, clause: Any) -> PreparedQuery:
        """A SELECT, or what else may return rows, whose columns are told as their types tell them."""
        types = (column.type.dialect_impl(self.dialect) for column in clause.exported_columns)
        told = enumerate(type_.result_processor(self.dialect, None) for type_ in types)
        return PreparedQuery(self.compile(clause), tuple((at, tell) for at, tell in told if tell is not None))

    def prepare_cached(self, make: Callable[..., Any], *arguments: Hashable) -> PreparedQuery:
        """The question that `make` makes of these arguments; made once, and remembered."""
        place = (make, *arguments)
        return self._known.get(place, None) or self._known.set(place, self.prepare(make(*arguments)))

    async def fetch_one(self, statement: CompiledStatement, given: Bindings = NOTHING) -> Row:
        """The first row of a statement, as the driver tells it; IndexError where there is none."""
        return (await self.fetch_all(statement, given))[0]

    async def fetch(self, clause: ClauseElement, given: Bindings = NOTHING) -> Row:
        """The first row of a statement of SQLAlchemy's; as `run`."""
        return await self.fetch_one(self.compile(clause), given)

    async def execute(self, clause: ClauseElement, given: Bindings = NOTHING) -> Sequence[Row]:
        """Every row of a statement of SQLAlchemy's; as `all`."""
        return await self.fetch_all(self.compile(clause), given)

    async def rows(self, asked: PreparedQuery, given: Bindings = NOTHING) -> list[list[Any]]:
        """The rows of a question."""
        found = await self.fetch_all(asked.statement, given)
        rows = [list(row) for row in found]
        for row in rows:
            for at, tell in asked.told:
                row[at] = tell(row[at])
        return rows

    async def fetch_all(self, statement: CompiledStatement, given: Bindings = NOTHING) -> Sequence[Row]:
        """Every row of a statement, as the driver tells them.

        Raises DBAPIError where the database objects, IntegrityError where what is written can't stand.
        """
        return await self._run((statement.text, statement.bind(given)))

    async def execute_batch(self, statements: Iterable[CompiledStatement], given: Bindings) -> Sequence[Row]:
        """Several statements in their order, at once where that can be; the rows of the last; raises as `all` does."""
        return await self._run(*((statement.text, statement.bind(given)) for statement in statements))

    async def fetch_and_commit(self, statement: CompiledStatement, given: Bindings, told: Callable[[Row], T]) -> T:
        """What `told` makes of the first row of the last statement; where it raises, nothing of all is kept.

        On SQLite the end of the transaction goes along. Raises as `all` does.
        """
        step = (statement.text, statement.bind(given))
        if self.postgresql:
            return told((await self._run(step))[0])
        steps, self._ahead = (*self._ahead, step), []
        try:
            made: T = await self._driver._execute(_to_the_end, self._driver, steps, told)  # noqa: SLF001  # as in _run
        except FAILURES as error:
            raise_as_dbapi_error(error)
        self._over = True
        return made

    async def begin(self, *words: str) -> None:
        """Begins the transaction; on SQLite along with its first statement, which saves a way to its thread and back.

        Raises as `all` does.
        """
        if self.postgresql:
            await self._say("; ".join(words))
        else:
            self._ahead = [(word, ()) for word in words]

    async def commit(self) -> None:
        """Has all of it be there; raises as `all` does."""
        if self.postgresql:
            await self._say(COMMIT)
        elif not (self._over or self._ahead):
            await self._run((COMMIT, ()))

    async def rollback(self) -> None:
        """Takes all of it back, where anything was begun; raises as `all` does."""
        if self.postgresql:
            await self._say("ROLLBACK")
            return
        try:
            await self._driver.rollback()
        except FAILURES as error:
            raise_as_dbapi_error(error)

    async def _say(self, words: str) -> None:
        try:
            await self._driver.execute(words)
        except FAILURES as error:
            raise_as_dbapi_error(error)

    async def _run(self, *steps: BoundStatement) -> Sequence[Row]:
        try:
            if self.postgresql:
                for text, values in steps:
                    found: Sequence[Row] = await self._driver.fetch(text, *values)
            else:
                steps, self._ahead = (*self._ahead, *steps), []
                found = await self._driver._execute(_in_turn, self._driver, steps)  # noqa: SLF001  # no other way in takes several at once
        except FAILURES as error:
            raise_as_dbapi_error(error)
        return found


def _in_turn(driver: Any, steps: Iterable[BoundStatement]) -> Sequence[Row]:
    """Runs statements of SQLite's on its own thread; the rows of the last."""
    for text, values in steps:
        rows: Sequence[Row] = driver._execute_fetchall(text, values)  # noqa: SLF001  # as above
    return rows


def _to_the_end(driver: Any, steps: Iterable[BoundStatement], told: Callable[[Row], T]) -> T:
    made = told(_in_turn(driver, steps)[0])
    _in_turn(driver, [(COMMIT, ())])
    return made


def raise_as_dbapi_error(error: Exception) -> NoReturn:
    """Raises what a driver's refusal is to SQLAlchemy: an IntegrityError, a connection's end, or any other."""
    redact_driver_error(error)
    code = str(getattr(error, "sqlstate", None) or "")
    if isinstance(error, sqlite3.IntegrityError) or code.startswith(INTEGRITY):
        raise IntegrityError(None, None, error, hide_parameters=True) from error
    broken = isinstance(error, asyncpg.InterfaceError | OSError) or code.startswith(STALE_SQLSTATES)
    raise DBAPIError(None, None, error, hide_parameters=True, connection_invalidated=broken) from error
