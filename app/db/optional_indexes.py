"""The optional indexes of a database: which exist, how large they are, and how they are built and dropped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import POSTGRESQL

INDEX_PREFIX = "rollcall_optional_"
"""What the names of all optional indexes start with."""

_SELECT_EXISTING = {
    POSTGRESQL: """
        SELECT relname, indisvalid, pg_relation_size(indexrelid)
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE starts_with(relname, :prefix) AND relnamespace = CAST(current_schema() AS regnamespace)
        ORDER BY relname
    """,
    "sqlite": """
        SELECT name, true, NULL FROM sqlite_master
        WHERE type = 'index' AND substr(name, 1, length(:prefix)) = :prefix ORDER BY name
    """,
}
_SELECT_TRIGRAM_SCHEMA = """
    SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'pg_trgm'
"""

_SELECT_LOCALE_PROVIDER = """
    SELECT to_jsonb(pg_database) ->> 'datlocprovider' FROM pg_database WHERE datname = current_database()
"""
"""The column exists since PostgreSQL 15."""
_LIBC = "c"


@dataclass(frozen=True, slots=True)
class OptionalIndex:
    """An optional index: `fields` are those that it serves, `definition` is what follows `CREATE INDEX … ON table`."""

    name: str
    table: str
    purpose: str
    fields: str
    definition: str

    def create_statement(self, *, concurrently: bool) -> str:
        """Return the statement that builds it; `concurrently` lets others write meanwhile, on PostgreSQL only."""
        how = "CONCURRENTLY " if concurrently else ""
        return f"CREATE INDEX {how}{_quoted(self.name)} ON {_quoted(self.table)} {self.definition}"


@dataclass(frozen=True, slots=True)
class ExistingIndex:
    """An optional index that exists. An interrupted build leaves one that is not valid: no query uses it."""

    name: str
    is_valid: bool
    size: int | None
    """Its size in bytes; SQLite does not know it."""


def drop_statement(name: str, *, concurrently: bool = False) -> str:
    """Return the statement that drops an index if it exists."""
    return f"DROP INDEX {'CONCURRENTLY ' if concurrently else ''}IF EXISTS {_quoted(name)}"


def existing_indexes(connection: Connection) -> Mapping[str, ExistingIndex]:
    """Return the optional indexes that exist, by name."""
    rows = connection.execute(text(_SELECT_EXISTING[connection.dialect.name]), {"prefix": INDEX_PREFIX})
    return {name: ExistingIndex(name, bool(is_valid), size) for name, is_valid, size in rows}


def trigram_schema(connection: Connection) -> str | None:
    """Return the schema of PostgreSQL's extension pg_trgm; None if it is not installed in this database."""
    schema: str | None = connection.scalar(text(_SELECT_TRIGRAM_SCHEMA))
    return schema


def folds_by_context(connection: Connection) -> bool:
    """Return whether trigrams of a text and of its parts may differ, so that an index would miss rows.

    pg_trgm lower-cases with the database's own locale. ICU lower-cases a final Greek sigma differently, and a part of a
    text may end where the text does not. Texts that are in lower case already are not affected.
    """
    if connection.dialect.name != POSTGRESQL:
        return False
    return connection.scalar(text(_SELECT_LOCALE_PROVIDER)) not in (None, _LIBC)


async def drop_optional_indexes(connection: AsyncConnection, names: Iterable[str] | None = None) -> None:
    """Drop the optional indexes of these names, by default all, in the caller's transaction."""
    found = list(await connection.run_sync(existing_indexes)) if names is None else names
    for name in found:
        await connection.execute(text(drop_statement(name)))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
