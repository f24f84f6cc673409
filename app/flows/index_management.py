"""Optional indexes of a running directory: which are useful, which exist, and how they are built and dropped."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.db.engine import sqlstate
from app.db.optional_indexes import (
    ExistingIndex,
    OptionalIndex,
    drop_statement,
    existing_indexes,
    folds_by_context,
    trigram_schema,
)
from app.query.collection import Collection
from app.query.sql_indexes import TEXT_PURPOSES, Purpose, suggested_indexes

INSUFFICIENT_PRIVILEGE = "42501"
EXTENSION_MISSING = {"0A000", "58P01"}
"""SQLSTATEs for an extension whose files the server does not have."""
NO_EXTENSION_RIGHT = (
    "This database user may not create the extension pg_trgm. Ask an administrator of the database to run "
    "`CREATE EXTENSION pg_trgm` in the database {name}, then try again; `--kind sort --kind nested` needs no extension."
)
NO_EXTENSION_FILES = (
    "The PostgreSQL server has no extension pg_trgm. Ask its administrator to install it (it is part of "
    "postgresql-contrib), then try again; `--kind sort --kind nested` needs no extension."
)
NOT_OWNER = "The database user must own the table {table} to build or drop its indexes."
UNKNOWN_SCHEMA = "public"
"""The schema that a suggestion assumes for pg_trgm before it is installed."""


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """What is wanted: the kinds of indexes of one collection, by default all, and further sorts."""

    collection: Collection
    kinds: Sequence[Purpose] = ()
    sorts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The useful indexes, and those of the same names that exist; `has_trigrams` says whether pg_trgm is installed."""

    indexes: Sequence[OptionalIndex]
    existing: Mapping[str, ExistingIndex]
    has_trigrams: bool

    @property
    def missing(self) -> list[OptionalIndex]:
        """The indexes that do not exist, or are left over from a build that was interrupted."""
        return [index for index in self.indexes if not self._is_valid(index.name)]

    def _is_valid(self, name: str) -> bool:
        return name in self.existing and self.existing[name].is_valid


async def suggest_indexes(database: Database, request: IndexRequest) -> Suggestions:
    """Return the useful indexes of a collection.

    Raises:
        OperatorError: A sort names no field that rows can be sorted by.
    """
    async with database.maintenance() as connection:
        return await _suggest(connection, request)


async def create_index(database: Database, index: OptionalIndex) -> None:
    """Build an index, on PostgreSQL while others write, and replace what an interrupted build left.

    Raises:
        OperatorError: The database user may not.
    """
    concurrently = database.dialect == POSTGRESQL
    async with _maintenance(database, index.table) as connection:
        await connection.execute(text(drop_statement(index.name, concurrently=concurrently)))
        await connection.execute(text(index.create_statement(concurrently=concurrently)))


async def create_trigram_extension(database: Database) -> None:
    """Create PostgreSQL's extension pg_trgm in the database unless it exists.

    Raises:
        OperatorError: The server does not have it, or the database user may not create it.
    """
    async with database.maintenance() as connection:
        try:
            await connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
        except DBAPIError as error:
            code = sqlstate(error)
            if code in EXTENSION_MISSING:
                raise OperatorError(NO_EXTENSION_FILES) from error
            if code == INSUFFICIENT_PRIVILEGE:
                name = await connection.scalar(text("SELECT current_database()"))
                raise OperatorError(NO_EXTENSION_RIGHT.format(name=name)) from error
            raise


async def update_statistics(database: Database, table: str) -> None:
    """Let the database's planner learn of new indexes on expressions."""
    async with _maintenance(database, table) as connection:
        await connection.execute(text(f"ANALYZE {table}"))


async def list_indexes(database: Database) -> list[ExistingIndex]:
    """Return all optional indexes that exist."""
    async with database.maintenance() as connection:
        return list((await connection.run_sync(existing_indexes)).values())


async def drop_index(database: Database, name: str) -> None:
    """Drop an index, on PostgreSQL while others write.

    Raises:
        OperatorError: The database user may not.
    """
    async with _maintenance(database, "of the index") as connection:
        await connection.execute(text(drop_statement(name, concurrently=database.dialect == POSTGRESQL)))


async def _suggest(connection: AsyncConnection, request: IndexRequest) -> Suggestions:
    dialect = connection.dialect.name
    schema = await connection.run_sync(trigram_schema) if dialect == POSTGRESQL else None
    indexes = suggested_indexes(
        request.collection, dialect, trigram_schema=schema or UNKNOWN_SCHEMA, sorts=tuple(request.sorts)
    )
    excluded = {"contains"} if await connection.run_sync(folds_by_context) else set()
    wanted = [
        index
        for index in indexes
        if (not request.kinds or index.purpose in request.kinds) and index.purpose not in excluded
    ]
    return Suggestions(wanted, await connection.run_sync(existing_indexes), schema is not None)


def needs_trigrams(indexes: Sequence[OptionalIndex]) -> bool:
    """Return whether any of the indexes needs PostgreSQL's extension pg_trgm."""
    return any(index.purpose in TEXT_PURPOSES for index in indexes)


@asynccontextmanager
async def _maintenance(database: Database, table: str) -> AsyncIterator[AsyncConnection]:
    """Open a connection without a transaction; an error for want of ownership names the table."""
    async with database.maintenance() as connection:
        try:
            yield connection
        except DBAPIError as error:
            if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
                raise
            raise OperatorError(NOT_OWNER.format(table=table)) from error
