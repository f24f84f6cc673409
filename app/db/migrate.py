"""Migrates the database to the newest revision, or removes what the revisions added."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.db.engine import sqlstate
from app.db.optional_indexes import drop_optional_indexes
from app.db.table_check import check_tables

PACKAGE = Path(__file__).parents[1]
MIGRATIONS = next(folder for folder in (PACKAGE / "migrations", PACKAGE.parent / "migrations") if folder.is_dir())
"""The revisions: in an installed package below `app`, in a checkout next to it."""
FOLD_REVISION = "0002"
"""The revision with the function that optional indexes use; they are dropped before it is."""
MIGRATIONS_TABLE = "rollcall_migrations"
INSUFFICIENT_PRIVILEGE = "42501"
# An arbitrary number that must never change.
MIGRATION_LOCK_KEY = 7_265_511
ALL_COLUMNS = {  # SQLAlchemy's inspection warns about each column of a type that it does not know
    POSTGRESQL: """
        SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables
        USING (table_schema, table_name) WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
        ORDER BY table_name, ordinal_position
    """,
    "sqlite": """
        SELECT m.name, c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid
    """,
}
"""Table and column of every column, by dialect."""


async def migrate_up(database: Database) -> None:
    """Migrate to the newest revision; adopt Directus' tables if they exist.

    Raises:
        OperatorError: The tables are not Directus 11's, or must not be changed. Nothing was changed.
    """
    await database.run_in_transaction(migrate_up_in_transaction)


async def migrate_up_in_transaction(connection: AsyncConnection) -> None:
    """Do what `migrate_up` does, in the caller's transaction; a concurrent migration waits for its end."""
    from app.db import alembic_runner  # noqa: PLC0415  # loads Alembic, which serving does not need

    await acquire_migration_lock(connection)
    await connection.run_sync(check_tables)
    try:
        await connection.run_sync(alembic_runner.upgrade, MIGRATIONS)
    except DBAPIError as error:
        if sqlstate(error) != INSUFFICIENT_PRIVILEGE:
            raise
        raise OperatorError("The database's user must own Directus' tables and be allowed to create tables.") from error


async def migrate_down(database: Database, to: str = "base", *, force: bool = False) -> None:
    """Remove what the revisions after `to` added; adopted tables stay as they are.

    Raises:
        OperatorError: There is no such revision, or, unless `force`, Rollcall's own tables hold more than bootstrap's
            rows.
    """
    await database.run_in_transaction(lambda connection: migrate_down_in_transaction(connection, to, force=force))


async def migrate_down_in_transaction(connection: AsyncConnection, to: str = "base", *, force: bool = False) -> None:
    """Do what `migrate_down` does, in the caller's transaction."""
    from app.db import alembic_runner  # noqa: PLC0415  # loads Alembic, which serving does not need

    await acquire_migration_lock(connection)
    if to < FOLD_REVISION or to == "base":
        await drop_optional_indexes(connection)
    await connection.run_sync(alembic_runner.downgrade, MIGRATIONS, to, force=force)
    if to == "base":
        await connection.execute(text(f"DROP TABLE {MIGRATIONS_TABLE}"))


async def preview_down(database: Database, to: str = "base") -> list[str]:
    """Return what `migrate_down` would drop: tables with their number of rows, and columns of tables that stay.

    It migrates down in a transaction that is rolled back.

    Raises:
        OperatorError: There is no such revision.
    """
    async with database.transaction() as connection:
        before = await connection.run_sync(_columns_and_counts)
        await migrate_down_in_transaction(connection, to, force=True)
        after = await connection.run_sync(_columns_and_counts)
        await connection.rollback()
    tables = [f"table {name} ({_rows(rows)})" for name, (_, rows) in before.items() if name not in after]
    columns = [
        f"column {name}.{column}"
        for name, (columns, _) in before.items()
        if name in after
        for column in columns
        if column not in after[name][0]
    ]
    return tables + columns


async def check_down(database: Database, to: str = "base") -> None:
    """Check, in a transaction that is rolled back, that migrating down loses nothing but what bootstrap wrote.

    Raises:
        OperatorError: It would lose rows, or there is no such revision.
    """
    async with database.transaction() as connection:
        await migrate_down_in_transaction(connection, to)
        await connection.rollback()


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _columns_and_counts(connection: Connection) -> dict[str, tuple[list[str], int]]:
    """Return the columns and the number of rows of every table."""
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(text(ALL_COLUMNS[connection.dialect.name])):
        columns.setdefault(table, []).append(column)
    quote = connection.dialect.identifier_preparer.quote
    return {
        table: (names, connection.execute(text(f"SELECT count(*) FROM {quote(table)}")).scalar_one())
        for table, names in columns.items()
    }


async def current_revision(database: Database) -> str | None:
    """Return the newest revision that was run on the database; None if none was.

    Raises:
        ServiceUnavailable: The database cannot be reached.
    """
    async with database.transaction() as connection:
        if not await connection.run_sync(lambda sync_connection: inspect(sync_connection).has_table(MIGRATIONS_TABLE)):
            return None
        revision: str | None = await connection.scalar(text(f"SELECT max(version_num) FROM {MIGRATIONS_TABLE}"))
        return revision


def newest_revision() -> str:
    """Return the newest revision of this version: the number that its file's name starts with."""
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


async def acquire_migration_lock(connection: AsyncConnection) -> None:
    """Wait for the lock that serializes migrations of this database; it is held until the transaction ends."""
    # SQLite's transactions take the file's only write lock when they begin.
    is_postgresql = connection.dialect.name == POSTGRESQL
    await connection.execute(
        text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK_KEY})" if is_postgresql else "SELECT 1")
    )
