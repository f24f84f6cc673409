"""Repairs a database in which Directus 11.17.4's own revert to Directus 10 was interrupted."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.db.migrate import acquire_migration_lock
from app.flows.import_writes import Progress
from app.upgrade.db_errors import READ_REQUIRED_MESSAGE, translate_db_errors
from app.upgrade.inspection import ROLE_FLAGS, inspect_database
from app.upgrade.locks import acquire_locks
from app.upgrade.partial_revert import detect_partial_revert

NOTHING_TO_REPAIR_MESSAGE = "This database shows no known damage to repair. Nothing was changed."
REPAIR_STATEMENTS = (
    "ALTER TABLE directus_permissions DROP COLUMN role, ALTER COLUMN policy SET NOT NULL",
    f"ALTER TABLE directus_roles {', '.join(f'DROP COLUMN {flag}' for flag in ROLE_FLAGS)}",
)
HAS_FOREIGN_KEY = """
SELECT EXISTS (
    SELECT FROM pg_constraint WHERE contype = 'f'
    AND conrelid = CAST('directus_permissions' AS regclass) AND confrelid = CAST('directus_policies' AS regclass)
)
"""
ADD_FOREIGN_KEY = """
ALTER TABLE directus_permissions ADD CONSTRAINT directus_permissions_policy_foreign
FOREIGN KEY (policy) REFERENCES directus_policies (id) ON DELETE CASCADE
"""


async def describe_damage(database: Database) -> str:
    """Return a description of the damage that `repair` would repair, without changing anything.

    Raises:
        OperatorError: There is nothing to repair, or it can't be repaired.
    """
    with translate_db_errors(READ_REQUIRED_MESSAGE):
        return await database.run_in_transaction(_check_repairable)


async def repair(database: Database, progress: Progress) -> None:
    """Restore Directus 11's tables after Directus' own revert was interrupted, in one transaction.

    Raises:
        OperatorError: The database is in any other state, can't be repaired, is locked by other sessions, or may not be
            changed by this user. Nothing was changed.
    """

    async def work(connection: AsyncConnection) -> None:
        await acquire_migration_lock(connection)
        await _check_repairable(connection)
        await acquire_locks(
            connection,
            exclusive=("directus_roles", "directus_permissions"),
            readable=("directus_policies", "directus_access", "directus_migrations"),
        )
        await _check_repairable(connection)  # again: other sessions can't change it from now on
        for number, statement in enumerate(REPAIR_STATEMENTS):
            progress("tables", number, len(REPAIR_STATEMENTS))
            await connection.execute(text(statement))
        if not await connection.scalar(text(HAS_FOREIGN_KEY)):
            await connection.execute(text(ADD_FOREIGN_KEY))
        progress("tables", len(REPAIR_STATEMENTS), len(REPAIR_STATEMENTS))

    with translate_db_errors():
        await database.run_in_transaction(work)


async def _check_repairable(connection: AsyncConnection) -> str:
    """Return a description of the damage; raise OperatorError if there is none, or none that can be repaired."""
    if connection.dialect.name != POSTGRESQL:
        raise OperatorError(NOTHING_TO_REPAIR_MESSAGE)
    partial_revert = await detect_partial_revert(connection, await inspect_database(connection))
    if partial_revert is None:
        raise OperatorError(NOTHING_TO_REPAIR_MESSAGE)
    if not partial_revert.repairable:
        raise OperatorError(partial_revert.description)
    return partial_revert.description
