"""What going back to Directus 10 would make of a database, and what it would lose; nothing that lasts is changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.flows.import_export import Progress
from app.upgrade.db_errors import translate_db_errors
from app.upgrade.edition import Edition, detect_edition
from app.upgrade.flatten import PUBLIC, flatten
from app.upgrade.inspection import STEP
from app.upgrade.losses import Loss, find_losses

# Whatever others write meanwhile, all of it is told of one moment. Temporary tables aren't made in a read-only one.
LOOK = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
TO_FORECAST = "The database's user should be allowed to read Directus' tables, and to create temporary ones."
LATER = "SELECT version || ' ' || name FROM directus_migrations WHERE version > :step ORDER BY version DESC"
THERE = "SELECT to_regclass(:table) IS NOT NULL"
MADE_BY_US = "SELECT NOT adopted FROM rollcall_origin"

ROLES = f"""
SELECT CAST(role AS text) AS id, name, admin_access, app_access, enforce_tfa, ip_access, policies,
    coalesce(single, 0) + coalesce(merged, 0), coalesce(merged, 0)
FROM rollcall_folded
LEFT JOIN directus_roles ON directus_roles.id = role
LEFT JOIN (SELECT role, count(*) AS single FROM rollcall_grants WHERE together = 1 GROUP BY 1) AS singles USING (role)
LEFT JOIN (SELECT role, count(*) AS merged FROM rollcall_merged GROUP BY 1) AS several USING (role)
ORDER BY role <> '{PUBLIC}', name, role LIMIT :shown + 1
"""
COUNTS = """
SELECT (SELECT count(*) FROM directus_roles),
    count(*) FILTER (WHERE together = 1 AND takers = 1), count(*) FILTER (WHERE together = 1 AND takers > 1),
    (SELECT count(*) FROM rollcall_merged)
FROM rollcall_grants
"""


class Role(NamedTuple):
    """What a role would be in Directus 10; the public one has no name."""

    id: str
    name: str | None
    admin: bool
    app: bool
    enforce_tfa: bool
    ip_access: str | None
    policies: int
    """How many policies it is made of, its ancestors' too."""
    permissions: int
    """How many permissions it would have."""
    merged: int
    """How many of these are made of several."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What going back comes to: how many roles there are, how their permissions come about, and what is lost."""

    roles: int
    kept: int
    """Permissions that stay what they are, ids included."""
    copied: int
    """Permissions that several roles have by one policy, and each gets for itself."""
    merged: int
    """Permissions made of several."""
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class RevertPreview:
    """The same of what isn't done yet, with what the first of the roles and the public would be."""

    outcome: Outcome
    first: list[Role]
    public: Role


async def forecast(database: Database, shown: int, progress: Progress) -> RevertPreview:
    """What `revert` would do, at most `shown` of each list; nothing is changed, and nobody is kept waiting.

    Raises Refusal for a database that can't be gone back with.
    """

    async def work(connection: AsyncConnection) -> RevertPreview:
        if connection.dialect.name == POSTGRESQL:
            await connection.execute(text(LOOK))
        return await forecast_within(connection, shown, progress)

    with translate_db_errors(TO_FORECAST):
        return await database.run_in_transaction(work)


async def forecast_within(connection: AsyncConnection, shown: int, progress: Progress) -> RevertPreview:
    """As `forecast`, inside a transaction of the caller's; what the database doesn't allow is raised as it is."""
    await check(connection)
    outcome = await compute_outcome(connection, shown, progress)
    public, *first = [Role(*row) for row in await connection.execute(text(ROLES), {"shown": shown})]
    return RevertPreview(outcome, first, public)


async def check(connection: AsyncConnection) -> None:
    """Raise Refusal for what isn't a whole Directus 11, with nothing but the step to be undone above Directus 10."""
    if connection.dialect.name != POSTGRESQL:
        raise OperatorError("Going back to Directus 10 is only done on PostgreSQL, and this is SQLite.")
    if await detect_edition(connection) is Edition.TEN:
        raise OperatorError("This is a Directus 10 database already: there is nothing to go back from.")
    ours = await adopted(connection) and await connection.scalar(text(MADE_BY_US))
    if ours or not await connection.scalar(text(THERE), {"table": "directus_migrations"}):
        raise OperatorError(
            "Only a database that a Directus made can become one of Directus 10: this one has no directus_migrations, "
            "or its tables are ours."
        )
    later = (await connection.scalars(text(LATER), {"step": STEP})).all()
    if later:
        raise OperatorError(_first(later))


def _first(later: Sequence[str]) -> str:
    have, times = ("migration has", "once") if len(later) == 1 else ("migrations have", f"{len(later)} times")
    return (
        f"{len(later)} newer {have} to be undone first, by the Directus that made them: without that Directus 10 lacks "
        f"directus_webhooks and the comments in directus_activity. Run `npx directus database migrate:down` {times}, "
        "and not once more: the next is the one that Rollcall undoes, and there it breaks off in the middle. "
        "They are, in that order:\n  " + "\n  ".join(later)
    )


async def adopted(connection: AsyncConnection) -> bool:
    """Whether our own tables stand there too."""
    return bool(await connection.scalar(text(THERE), {"table": "rollcall_origin"}))


async def compute_outcome(connection: AsyncConnection, named: int, progress: Progress) -> Outcome:
    """What going back comes to, naming so many losses of a kind at most; `flatten`'s tables say what is to be done."""
    await flatten(connection, progress)
    losses = await find_losses(connection, named, adopted=await adopted(connection))
    roles, kept, copied, merged = (await connection.execute(text(COUNTS))).one()
    return Outcome(roles, kept, copied, merged, losses)
