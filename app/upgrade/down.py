"""The way back: a Directus 11 database becomes one of Directus 10, in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import POSTGRESQL
from app.db.migrate import down_within, take_turn
from app.db.refusal import Refusal
from app.db.session import Database
from app.flows.transfer import Progress
from app.upgrade.flattening import PUBLIC, flatten
from app.upgrade.losses import Loss, find_losses
from app.upgrade.mend import FLAGS, STEP, broken_down, columns, in_plain_words
from app.upgrade.rewriting import rewrite

LOCK = """
LOCK TABLE directus_roles, directus_policies, directus_access, directus_permissions, directus_migrations
IN ACCESS EXCLUSIVE MODE
"""
ELEVEN = {
    *("directus_roles.id", "directus_roles.parent", "directus_policies.id", "directus_policies.ip_access"),
    *("directus_access.role", "directus_access.user", "directus_access.policy", "directus_permissions.policy"),
}
TEN = {*(f"directus_roles.{flag}" for flag in FLAGS), "directus_permissions.role"}
LATER = "SELECT version || ' ' || name FROM directus_migrations WHERE version > :step ORDER BY version DESC"
ADOPTED = "SELECT to_regclass('rollcall_origin') IS NOT NULL"
MADE_BY_US = "SELECT NOT adopted FROM rollcall_origin"

ROLES = f"""
SELECT CAST(role AS text) AS id, name, admin_access, app_access, enforce_tfa, ip_access, policies,
    coalesce(single, 0) + coalesce(merged, 0) AS permissions, coalesce(merged, 0) AS merged
FROM rollcall_folded
LEFT JOIN directus_roles ON directus_roles.id = role
LEFT JOIN (SELECT role, count(*) AS single FROM rollcall_grants WHERE together = 1 GROUP BY 1) AS singles USING (role)
LEFT JOIN (SELECT role, count(*) AS merged FROM rollcall_merged GROUP BY 1) AS several USING (role)
ORDER BY role = '{PUBLIC}', name, role
"""
COUNTS = """
SELECT (SELECT count(*) FROM directus_roles) AS roles,
    count(*) FILTER (WHERE together = 1 AND takers = 1) AS kept,
    count(*) FILTER (WHERE together = 1 AND takers > 1) AS copied,
    (SELECT count(*) FROM rollcall_merged) AS merged
FROM rollcall_grants
"""


@dataclass(frozen=True, slots=True)
class Role:
    """What a role would be in Directus 10; the public one has neither id nor name."""

    id: str | None
    name: str | None
    admin_access: bool
    app_access: bool
    enforce_tfa: bool
    ip_access: str | None
    policies: int
    """How many policies it is made of, its ancestors' too."""
    permissions: int
    """How many permissions it would have."""
    merged: int
    """How many of these are made of several."""

    def __str__(self) -> str:
        if self.id is None:
            return f"The public: {self.permissions} permissions of {self.policies} policies, {self.merged} merged"
        flags = [flag for flag in ("admin_access", "app_access", "enforce_tfa") if getattr(self, flag)]
        flags += [f"ip_access {self.ip_access}"] if self.ip_access else []
        said = f"{self.permissions} permissions of {self.policies} policies, {self.merged} merged"
        return f"{self.name} ({self.id}): {', '.join(flags) or 'no access flags'}; {said}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What going back would make of each role, and what it would lose or change."""

    roles: tuple[Role, ...]
    losses: tuple[Loss, ...]

    def lines(self) -> Iterator[str]:
        """The same in words, a line for each role and each kind of loss."""
        yield from map(str, self.roles)
        yield from map(str, self.losses)


@dataclass(frozen=True, slots=True)
class Reverted:
    """What was done: how many roles there are, how their permissions came about, and what was lost."""

    roles: int
    kept: int
    """Permissions that stayed what they were, ids included."""
    copied: int
    """Permissions that several roles had, and each has for itself now."""
    merged: int
    """Permissions made of several."""
    losses: tuple[Loss, ...]


async def what_reverting_does(database: Database) -> Forecast:
    """What `revert` would do, role by role; nothing is changed, and nobody is kept waiting.

    Raises Refusal for a database that can't be gone back with.
    """

    async def work(connection: AsyncConnection) -> Forecast:
        if connection.dialect.name == POSTGRESQL:
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await _check(connection)
        losses = await _worked_out(connection, lambda *_: None)
        roles = (await connection.execute(text(ROLES))).mappings()
        return Forecast(tuple(Role(**{**row, "id": _real(row["id"])}) for row in roles), losses)

    return await database.write(work)


async def revert(database: Database, *, accept_loss: bool, progress: Progress) -> Reverted:
    """Undo Directus' migration 20240806A, and take away what was ours: all of it, or nothing.

    Raises Refusal, with nothing changed, for a database that isn't Directus 11's or has newer migrations to be undone
    first, and, unless `accept_loss`, for one that would lose anything: the reason names it.
    """

    async def work(connection: AsyncConnection) -> Reverted:
        await take_turn(connection)
        await _check(connection)
        await connection.execute(text(LOCK))
        await _check(connection)  # again, now that nobody else can change it
        losses = await _worked_out(connection, progress)
        if losses and not accept_loss:
            raise Refusal(_told(losses))
        counts = (await connection.execute(text(COUNTS))).mappings().one()
        if await connection.scalar(text(ADOPTED)):
            await down_within(connection, force=False)
        await rewrite(connection, progress)
        return Reverted(**counts, losses=losses)

    with in_plain_words():
        return await database.write(work)


async def _check(connection: AsyncConnection) -> None:
    """Raise Refusal for what isn't a whole Directus 11, with nothing but the step to be undone above Directus 10."""
    if connection.dialect.name != POSTGRESQL:
        raise Refusal("Going back to Directus 10 is done on PostgreSQL; this is another database.")
    if broken := await broken_down(connection):
        advice = (
            " `rollcall upgrade --mend` makes it a whole Directus 11 again; then go back." if broken.mendable else ""
        )
        raise Refusal(broken.what + advice)
    found = (await columns(connection)).keys()
    ours = await connection.scalar(text(ADOPTED)) and await connection.scalar(text(MADE_BY_US))
    if ours or "directus_migrations.version" not in found:
        raise Refusal(
            "Only a database that a Directus made can become one of Directus 10: this one has no directus_migrations, "
            "or its tables are ours."
        )
    if not found >= ELEVEN:
        raise Refusal(
            "This is no Directus 11 database: directus_policies, directus_access or columns of theirs are missing."
        )
    if found & TEN:
        raise Refusal(f"This database is neither Directus 10 nor 11: beside policies there is {min(found & TEN)}.")
    later = (await connection.scalars(text(LATER), {"step": STEP})).all()
    if later:
        raise Refusal(_first(later))


def _first(later: Sequence[str]) -> str:
    return (
        f"{len(later)} newer migrations have to be undone first, by the Directus that made them: without that Directus "
        "10 misses directus_webhooks and the comments in directus_activity. Run `npx directus database migrate:down` "
        f"{len(later)} times, and not once more: the next would be this one, and breaks off in the middle. "
        "Then go back. They are, in that order:\n  " + "\n  ".join(later)
    )


async def _worked_out(connection: AsyncConnection, progress: Progress) -> tuple[Loss, ...]:
    adopted = bool(await connection.scalar(text(ADOPTED)))
    await flatten(connection, progress)
    return await find_losses(connection, adopted=adopted)


def _told(losses: tuple[Loss, ...]) -> str:
    return (
        "Directus 10 has no place for all of this, so nothing was changed:\n  "
        + "\n  ".join(map(str, losses))
        + "\nWith --accept-loss it is done all the same; keep a copy (`pg_dump`) of what is there now."
    )


def _real(role: str) -> str | None:
    return None if role == PUBLIC else role
