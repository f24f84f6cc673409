"""Mends what the way back of Directus 11.17.4 itself leaves behind where it breaks off."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.db.migrate import acquire_migration_lock
from app.flows.import_export import Progress
from app.upgrade.db_errors import TO_READ, translate_db_errors
from app.upgrade.inspection import FLAGS, inspect_database
from app.upgrade.locks import take_locks
from app.upgrade.partial_revert import detect_partial_revert

UNKNOWN = "Nothing here is known to need mending, and nothing was changed."
MENDING = (
    "ALTER TABLE directus_permissions DROP COLUMN role, ALTER COLUMN policy SET NOT NULL",
    f"ALTER TABLE directus_roles {', '.join(f'DROP COLUMN {flag}' for flag in FLAGS)}",
)
BOUND = """
SELECT EXISTS (
    SELECT FROM pg_constraint WHERE contype = 'f'
    AND conrelid = CAST('directus_permissions' AS regclass) AND confrelid = CAST('directus_policies' AS regclass)
)
"""
BIND = """
ALTER TABLE directus_permissions ADD CONSTRAINT directus_permissions_policy_foreign
FOREIGN KEY (policy) REFERENCES directus_policies (id) ON DELETE CASCADE
"""


async def what_to_mend(database: Database) -> str:
    """What broke off, in words; nothing is changed. Raises Refusal as `mend` does."""
    with translate_db_errors(TO_READ):
        return await database.run_in_transaction(_broken)


async def repair(database: Database, progress: Progress) -> None:
    """Make a whole Directus 11 of what Directus' own way back left behind, in one transaction.

    Raises Refusal, with nothing changed, for any other state, for the one that can't be mended, where others hold it
    up, or where the database may not be changed.
    """

    async def work(connection: AsyncConnection) -> None:
        await acquire_migration_lock(connection)
        await _broken(connection)
        await take_locks(
            connection,
            alone=("directus_roles", "directus_permissions"),
            readable=("directus_policies", "directus_access", "directus_migrations"),
        )
        await _broken(connection)  # still, now that nobody else can change it
        for number, statement in enumerate(MENDING):
            progress("tables", number, len(MENDING))
            await connection.execute(text(statement))
        if not await connection.scalar(text(BOUND)):
            await connection.execute(text(BIND))
        progress("tables", len(MENDING), len(MENDING))

    with translate_db_errors():
        await database.run_in_transaction(work)


async def _broken(connection: AsyncConnection) -> str:
    """What can be mended, in words; raises Refusal where there is nothing that can."""
    native = connection.dialect.name == POSTGRESQL
    broken = await detect_partial_revert(connection, await inspect_database(connection)) if native else None
    if not (broken and broken.mendable):
        raise OperatorError(broken.told if broken else UNKNOWN)
    return broken.told
