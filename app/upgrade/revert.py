"""Reverts a Directus 11 database to Directus 10, in one transaction."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.database import Database
from app.db.migrate import acquire_migration_lock, migrate_down_in_transaction
from app.flows.import_writes import Progress
from app.upgrade.db_errors import translate_db_errors
from app.upgrade.locks import acquire_locks
from app.upgrade.losses import Loss
from app.upgrade.revert_preview import Outcome, check_revertible, compute_outcome, has_rollcall_tables
from app.upgrade.rewrite import rewrite

MAX_ROWS_PER_LOSS = 5
"""Maximum number of rows named for each kind of loss in an error."""


async def revert(database: Database, *, accept_loss: bool, progress: Progress) -> Outcome:
    """Undo Directus' migration 20240806A, and remove Rollcall's own tables.

    Raises:
        OperatorError: The database is not of Directus 11, has newer migrations that must be undone first, is locked by
            other sessions, or may not be changed by this user; or, unless `accept_loss` is set, something would be
            lost, which the message names. Nothing was changed.
    """
    with translate_db_errors():
        return await database.run_in_transaction(
            lambda connection: revert_in_transaction(connection, accept_loss=accept_loss, progress=progress)
        )


async def revert_in_transaction(connection: AsyncConnection, *, accept_loss: bool, progress: Progress) -> Outcome:
    """Do the same within the caller's transaction. Database errors are not translated."""
    await acquire_migration_lock(connection)
    await check_revertible(connection)
    await acquire_locks(
        connection,
        # Users too: a foreign key of directus_access, which is dropped, references them.
        exclusive=("directus_roles", "directus_permissions", "directus_users", "directus_policies", "directus_access"),
        readable=("directus_migrations",),
    )
    await check_revertible(connection)  # again: other sessions can't change it from now on
    outcome = await compute_outcome(connection, MAX_ROWS_PER_LOSS, progress)
    if outcome.losses and not accept_loss:
        raise OperatorError(_loss_message(outcome.losses))
    if await has_rollcall_tables(connection):
        await migrate_down_in_transaction(connection, force=False)
    await rewrite(connection, progress)
    return outcome


def _loss_message(losses: Sequence[Loss]) -> str:
    return (
        "Directus 10 can't hold all of this, so nothing was changed:\n  "
        + "\n  ".join(map(str, losses))
        + "\nAdd --accept-loss to revert anyway; first back up the database with `pg_dump`."
    )
