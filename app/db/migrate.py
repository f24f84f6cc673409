"""Brings the database's layout up to date, or takes away what we added."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.db.engine import sqlstate
from app.db.table_check import check_tables

NOT_ALLOWED = "42501"
# Any number will do, as long as it stays the same.
MIGRATION_LOCK_KEY = 7_265_511


async def migrate_up(database: Database) -> None:
    """Migrate to the newest layout; adopt Directus' tables where they are.

    Raises Refusal, with nothing changed, for tables that aren't Directus 11's or that we may not change.
    """
    await database.run_in_transaction(migrate_up_in_transaction)


async def migrate_up_in_transaction(connection: AsyncConnection) -> None:
    """As `up`, inside a transaction of the caller's; another who migrates meanwhile waits for its end."""
    from app.db import alembic_runner  # noqa: PLC0415  # loads Alembic, which serving goes without

    await acquire_migration_lock(connection)
    await connection.run_sync(check_tables)
    try:
        await connection.run_sync(alembic_runner.upgrade)
    except DBAPIError as error:
        if sqlstate(error) != NOT_ALLOWED:
            raise
        raise OperatorError(
            "The database's user should own Directus' tables and may create tables beside them."
        ) from error


async def migrate_down(database: Database, to: str = "base", *, force: bool = False) -> None:
    """Take away what the revisions after `to` added; adopted tables stay as they are.

    Raises Refusal for a revision that there is none of, and, unless `force`, where tables of our own hold more than
    bootstrap's rows.
    """
    await database.run_in_transaction(lambda connection: migrate_down_in_transaction(connection, to, force=force))


async def migrate_down_in_transaction(connection: AsyncConnection, to: str = "base", *, force: bool = False) -> None:
    """As `down`, inside a transaction of the caller's."""
    from app.db import alembic_runner  # noqa: PLC0415  # loads Alembic, which serving goes without

    await acquire_migration_lock(connection)
    await connection.run_sync(lambda plain: alembic_runner.downgrade(plain, to, force=force))
    if to == "base":
        await connection.execute(text("DROP TABLE rollcall_migrations"))


async def acquire_migration_lock(connection: AsyncConnection) -> None:
    """Wait until nobody else sets up this database; the turn lasts as long as the transaction."""
    # SQLite's transactions take the only turn there is as they begin.
    native = connection.dialect.name == POSTGRESQL
    await connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK_KEY})" if native else "SELECT 1"))
