"""Previews a revert to Directus 10: what it would make of a database, and what it would lose."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.flows.import_writes import Progress
from app.upgrade.db_errors import translate_db_errors
from app.upgrade.edition import Edition, detect_edition
from app.upgrade.flatten import PUBLIC_ROLE, flatten
from app.upgrade.inspection import POLICIES_MIGRATION
from app.upgrade.losses import Loss, find_losses

# One snapshot for all queries, whatever other sessions write meanwhile. A read-only transaction can't create
# temporary tables.
SET_TRANSACTION = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
PREVIEW_REQUIRED_MESSAGE = "The database user must be allowed to read Directus' tables, and to create temporary tables."
NEWER_MIGRATIONS = "SELECT version || ' ' || name FROM directus_migrations WHERE version > :step ORDER BY version DESC"
TABLE_EXISTS = "SELECT to_regclass(:table) IS NOT NULL"
CREATED_BY_ROLLCALL = "SELECT NOT adopted FROM rollcall_origin"

ROLES = f"""
SELECT CAST(role AS text) AS id, name, admin_access, app_access, enforce_tfa, ip_access, policies,
    coalesce(single, 0) + coalesce(merged, 0), coalesce(merged, 0)
FROM rollcall_folded
LEFT JOIN directus_roles ON directus_roles.id = role
LEFT JOIN (SELECT role, count(*) AS single FROM rollcall_grants WHERE together = 1 GROUP BY 1) AS singles USING (role)
LEFT JOIN (SELECT role, count(*) AS merged FROM rollcall_merged GROUP BY 1) AS several USING (role)
ORDER BY role <> '{PUBLIC_ROLE}', name, role LIMIT :max_rows + 1
"""
COUNTS = """
SELECT (SELECT count(*) FROM directus_roles),
    count(*) FILTER (WHERE together = 1 AND takers = 1), count(*) FILTER (WHERE together = 1 AND takers > 1),
    (SELECT count(*) FROM rollcall_merged)
FROM rollcall_grants
"""


class RevertedRole(NamedTuple):
    """A role as it would be in Directus 10; the public has no name."""

    id: str
    name: str | None
    admin: bool
    app: bool
    enforce_tfa: bool
    ip_access: str | None
    policies: int
    """The number of policies merged into it, including those of its ancestors."""
    permissions: int
    """The number of permissions it would have."""
    merged: int
    """The number of these that would be merged from several."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a revert: the number of roles, how their permissions are created, and the losses."""

    roles: int
    unchanged: int
    """Permissions that stay unchanged, including their ids."""
    copied: int
    """Permissions copied for the roles that share a policy."""
    merged: int
    """Permissions merged from several."""
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class RevertPreview:
    """The result a revert would have, with the first roles and the public as they would be."""

    outcome: Outcome
    roles: list[RevertedRole]
    public_role: RevertedRole


async def preview_revert(database: Database, max_rows: int, progress: Progress) -> RevertPreview:
    """Preview a revert with at most `max_rows` entries of each list; changes nothing and blocks no other session.

    Raises:
        OperatorError: The database can't be reverted.
    """

    async def work(connection: AsyncConnection) -> RevertPreview:
        if connection.dialect.name == POSTGRESQL:
            await connection.execute(text(SET_TRANSACTION))
        return await preview_revert_in_transaction(connection, max_rows, progress)

    with translate_db_errors(PREVIEW_REQUIRED_MESSAGE):
        return await database.run_in_transaction(work)


async def preview_revert_in_transaction(
    connection: AsyncConnection, max_rows: int, progress: Progress
) -> RevertPreview:
    """Do the same within the caller's transaction. Database errors are not translated."""
    await check_revertible(connection)
    outcome = await compute_outcome(connection, max_rows, progress)
    rows = await connection.execute(text(ROLES), {"max_rows": max_rows})
    public_role, *roles = [RevertedRole(*row) for row in rows]
    return RevertPreview(outcome, roles, public_role)


async def check_revertible(connection: AsyncConnection) -> None:
    """Raise OperatorError unless the database is of Directus 11 with no migration newer than the one to undo."""
    if connection.dialect.name != POSTGRESQL:
        raise OperatorError("Rollcall reverts PostgreSQL databases only, and this is SQLite.")
    if await detect_edition(connection) is Edition.TEN:
        raise OperatorError("This is a Directus 10 database already: there is nothing to revert.")
    created = await has_rollcall_tables(connection) and await connection.scalar(text(CREATED_BY_ROLLCALL))
    if created or not await connection.scalar(text(TABLE_EXISTS), {"table": "directus_migrations"}):
        raise OperatorError(
            "Only a database that Directus created can be reverted to Directus 10. This one has no "
            "directus_migrations, or its tables were created by Rollcall."
        )
    newer = (await connection.scalars(text(NEWER_MIGRATIONS), {"step": POLICIES_MIGRATION})).all()
    if newer:
        raise OperatorError(_newer_migrations_message(newer))


def _newer_migrations_message(newer: Sequence[str]) -> str:
    count = len(newer)
    subject, times = (
        (f"{count} newer migration", "once") if count == 1 else (f"{count} newer migrations", f"{count} times")
    )
    return (
        f"{subject} must be undone first, by the Directus that ran them; otherwise Directus 10 lacks directus_webhooks "
        f"and the comments in directus_activity. Run `npx directus database migrate:down` {times}, and not more often: "
        "the next migration is the one that Rollcall reverts, and Directus' own revert of it fails in the middle. "
        "They are, in this order:\n  " + "\n  ".join(newer)
    )


async def has_rollcall_tables(connection: AsyncConnection) -> bool:
    """Return whether Rollcall's own tables exist."""
    return bool(await connection.scalar(text(TABLE_EXISTS), {"table": "rollcall_origin"}))


async def compute_outcome(connection: AsyncConnection, max_rows: int, progress: Progress) -> Outcome:
    """Return the result of a revert, with at most `max_rows` rows of each loss; creates the tables of `flatten`."""
    await flatten(connection, progress)
    has_own_tables = await has_rollcall_tables(connection)
    losses = await find_losses(connection, max_rows, has_rollcall_tables=has_own_tables)
    roles, unchanged, copied, merged = (await connection.execute(text(COUNTS))).one()
    return Outcome(roles, unchanged, copied, merged, losses)
