"""Migrates the database to the newest revision, or removes what the revisions added."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.db.engine import sqlstate
from app.db.table_check import check_tables

INSUFFICIENT_PRIVILEGE = "42501"
# An arbitrary number that must never change.
MIGRATION_LOCK_KEY = 7_265_511


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
        await connection.run_sync(alembic_runner.upgrade)
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
    await connection.run_sync(lambda sync_connection: alembic_runner.downgrade(sync_connection, to, force=force))
    if to == "base":
        await connection.execute(text("DROP TABLE rollcall_migrations"))


async def acquire_migration_lock(connection: AsyncConnection) -> None:
    """Wait for the lock that serializes migrations of this database; it is held until the transaction ends."""
    # SQLite's transactions take the file's only write lock when they begin.
    is_postgresql = connection.dialect.name == POSTGRESQL
    await connection.execute(
        text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK_KEY})" if is_postgresql else "SELECT 1")
    )
