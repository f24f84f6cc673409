"""The way back: a Directus 11 database becomes one of Directus 10, in one transaction."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.database import Database
from app.db.migrate import acquire_migration_lock, migrate_down_in_transaction
from app.flows.import_export import Progress
from app.upgrade.db_errors import translate_db_errors
from app.upgrade.locks import take_locks
from app.upgrade.losses import Loss
from app.upgrade.revert_preview import Outcome, adopted, check, compute_outcome
from app.upgrade.rewrite import rewrite

NAMED = 5
"""Rows of each kind of loss that a refusal names."""


async def revert(database: Database, *, accept_loss: bool, progress: Progress) -> Outcome:
    """Undo Directus' migration 20240806A, and take away what was ours: all of it, or nothing.

    Raises Refusal, with nothing changed, for a database that isn't Directus 11's or has newer migrations to be undone
    first, where others hold it up, where it may not be changed, and, unless `accept_loss`, for one that would lose
    anything: the reason names it.
    """
    with translate_db_errors():
        return await database.run_in_transaction(
            lambda connection: revert_within(connection, accept_loss=accept_loss, progress=progress)
        )


async def revert_within(connection: AsyncConnection, *, accept_loss: bool, progress: Progress) -> Outcome:
    """As `revert`, inside a transaction of the caller's; what the database doesn't allow is raised as it is."""
    await acquire_migration_lock(connection)
    await check(connection)
    await take_locks(
        connection,
        # Users too: a key of a table that goes points at them.
        alone=("directus_roles", "directus_permissions", "directus_users", "directus_policies", "directus_access"),
        readable=("directus_migrations",),
    )
    await check(connection)  # again, now that nobody else can change it
    outcome = await compute_outcome(connection, NAMED, progress)
    if outcome.losses and not accept_loss:
        raise OperatorError(_told(outcome.losses))
    if await adopted(connection):
        await migrate_down_in_transaction(connection, force=False)
    await rewrite(connection, progress)
    return outcome


def _told(losses: Sequence[Loss]) -> str:
    return (
        "Directus 10 has no place for all of this, so nothing was changed:\n  "
        + "\n  ".join(map(str, losses))
        + "\nWith --accept-loss it is done all the same; keep a copy (`pg_dump`) of what is there now."
    )
