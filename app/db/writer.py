"""Statements of one transaction that writes, on the driver's own connection: what each costs is little but itself."""

import sqlite3
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import asyncpg
from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.core.binding import Given
from app.core.kept import Kept
from app.db.base import POSTGRESQL
from app.db.engine import STALE
from app.db.statement import Statement, compile_statement

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, sqlite3.Error)
INTEGRITY = "23"
NOTHING: Given = {}

Row = Sequence[Any]
Told = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A compiled statement that answers rows, and what each of its columns is told by."""

    statement: Statement
    told: tuple[Told | None, ...]


Questions = Kept[Hashable, Question]


class Writer:
    """One transaction: what it does is there when it commits, or not at all."""

    def __init__(self, driver: Any, dialect: Dialect, known: Questions) -> None:
        self._driver, self._known = driver, known
        self.dialect = dialect
        self.postgresql = dialect.name == POSTGRESQL

    def compile(self, clause: ClauseElement) -> Statement:
        """A statement as the driver takes it."""
        return compile_statement(clause, self.dialect)

    def question(self, clause: Any) -> Question:
        """A SELECT, or what else may return rows, whose columns are told as their types tell them."""
        columns = clause.exported_columns
        told = tuple(column.type.dialect_impl(self.dialect).result_processor(self.dialect, None) for column in columns)
        return Question(self.compile(clause), told)

    def known(self, make: Callable[..., Any], *arguments: Hashable) -> Question:
        """The question that `make` makes of these arguments; made once, and remembered."""
        place = (make, *arguments)
        return self._known.get(place, None) or self._known.keep(place, self.question(make(*arguments)))

    async def run(self, statement: Statement, given: Given = NOTHING) -> Row:
        """The first row of a statement, as the driver tells it; IndexError where there is none."""
        return (await self.all(statement, given))[0]

    async def fetch(self, clause: ClauseElement) -> Row:
        """The first row of a statement of SQLAlchemy's; as `run`."""
        return await self.run(self.compile(clause))

    async def rows(self, asked: Question, given: Given = NOTHING) -> list[list[Any]]:
        """The rows of a question."""
        found = await self.all(asked.statement, given)
        return [[_tell(told, row[at]) for at, told in enumerate(asked.told)] for row in found]

    async def all(self, statement: Statement, given: Given = NOTHING) -> Sequence[Row]:
        """Every row of a statement, as the driver tells them.

        Raises DBAPIError where the database objects, IntegrityError where what is written can't stand.
        """
        values = statement.values(given)
        try:
            if self.postgresql:
                found: Sequence[Row] = await self._driver.fetch(statement.text, *values)
            else:
                found = await self._driver.execute_fetchall(statement.text, values)
        except FAILURES as error:
            refuse(error)
        return found

    async def say(self, *words: str) -> None:
        """Statements of no parameters, one after another; raises as `all` does."""
        try:
            if self.postgresql:
                await self._driver.execute("; ".join(words))
            else:
                for word in words:
                    await self._driver.execute_fetchall(word)
        except FAILURES as error:
            refuse(error)


def refuse(error: Exception) -> NoReturn:
    """Raises what a driver's refusal is to SQLAlchemy: an IntegrityError, a connection's end, or any other."""
    code = str(getattr(error, "sqlstate", None) or "")
    if isinstance(error, sqlite3.IntegrityError) or code.startswith(INTEGRITY):
        raise IntegrityError(None, None, error, hide_parameters=True) from error
    broken = isinstance(error, asyncpg.InterfaceError | OSError) or code.startswith(STALE)
    raise DBAPIError(None, None, error, hide_parameters=True, connection_invalidated=broken) from error


def _tell(told: Told | None, value: Any) -> Any:
    return value if told is None else told(value)
