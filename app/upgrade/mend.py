"""Mends what the way back of Directus 11.17.4 itself leaves behind where it breaks off, halfway between 11 and 10."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import POSTGRESQL
from app.db.engine import sqlstate
from app.db.migrate import NOT_ALLOWED, take_turn
from app.db.refusal import Refusal
from app.db.session import Database
from app.flows.transfer import Progress

STEP = "20240806A"
"""The migration that makes policies of what roles were, as Directus records it."""
DEPENDED_ON = "2BP01"
FLAGS = {
    "ip_access": "text",
    "enforce_tfa": "boolean NOT NULL DEFAULT false",
    "admin_access": "boolean NOT NULL DEFAULT false",
    "app_access": "boolean NOT NULL DEFAULT true",
}
"""What Directus 10's roles have, and 11's policies have instead."""

COLUMNS = """
SELECT table_name || '.' || column_name, data_type || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END
    || coalesce(' DEFAULT ' || column_default, '')
FROM information_schema.columns WHERE table_schema = current_schema()
AND table_name IN
    ('directus_roles', 'directus_policies', 'directus_access', 'directus_permissions', 'directus_migrations')
"""
UNTOUCHED = """
SELECT NOT EXISTS (
    SELECT FROM directus_roles
    WHERE ip_access IS NOT NULL OR enforce_tfa OR admin_access OR NOT app_access
) AND NOT EXISTS (SELECT FROM directus_permissions WHERE role IS NOT NULL OR policy IS NULL)
AND EXISTS (SELECT FROM directus_policies) AND EXISTS (SELECT FROM directus_access)
AND EXISTS (SELECT FROM directus_migrations WHERE version = :step)
"""
ALL_PUBLIC = """
SELECT NOT EXISTS (SELECT FROM directus_permissions WHERE role IS NOT NULL)
AND EXISTS (
    SELECT FROM directus_permissions GROUP BY collection, action
    HAVING count(DISTINCT concat_ws('|', permissions, validation, presets, fields)) > 1
) AND NOT EXISTS (SELECT FROM directus_migrations WHERE version = :step)
AND EXISTS (
    SELECT FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'a'
    AND conrelid = CAST('directus_permissions' AS regclass) AND confrelid = CAST('directus_roles' AS regclass)
)
"""
"""Permissions of roles that had different ones lie side by side, and the key isn't the one a Directus 10 made."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What that way back left behind, in words, and whether it can be mended from what is still there."""

    mendable: bool
    what: str


HALFWAY = Broken(
    mendable=True,
    what="Directus' own way back broke off here: its roles have the columns of Directus 10 again, but nothing in them, "
    "and policies and permissions are still whole.",
)
ALL_GONE = Broken(
    mendable=False,
    what="This looks like what Directus 11.17.4's own way back makes where it comes to its end: every permission is "
    "the public's, and which role it was is written nowhere. Only a copy from before can bring that back.",
)
UNKNOWN = "Nothing here is known to need mending, and nothing was changed."


async def columns(connection: AsyncConnection) -> Mapping[str, str]:
    """Each column of the tables that Directus 10 and 11 have differently, `table.column`, with its type."""
    return {row[0]: row[1] for row in await connection.execute(text(COLUMNS))}


async def broken_down(connection: AsyncConnection) -> Broken | None:
    """What Directus 11.17.4's own way back left behind; None where the database is in any other state."""
    if connection.dialect.name != POSTGRESQL:
        return None
    found = await columns(connection)
    if not found.keys() >= {"directus_roles.id", "directus_permissions.id", "directus_migrations.version"}:
        return None
    ten = {f"directus_roles.{flag}": kind for flag, kind in FLAGS.items()} | {"directus_permissions.role": "uuid"}
    if not ten.items() <= found.items():
        return None
    eleven = {"directus_roles.parent", "directus_permissions.policy", "directus_policies.id", "directus_access.policy"}
    if eleven <= found.keys() and await connection.scalar(text(UNTOUCHED), {"step": STEP}):
        return HALFWAY
    if not eleven & found.keys() and await connection.scalar(text(ALL_PUBLIC), {"step": STEP}):
        return ALL_GONE
    return None


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


async def mend(database: Database, progress: Progress) -> None:
    """Make a whole Directus 11 of what Directus' own way back left behind, in one transaction.

    Raises Refusal, with nothing changed, for any other state, and for the one that can't be mended.
    """

    async def work(connection: AsyncConnection) -> None:
        await take_turn(connection)
        await _check(connection)
        await connection.execute(
            text("LOCK TABLE directus_roles, directus_policies, directus_access, directus_permissions")
        )
        await _check(connection)
        for number, statement in enumerate(MENDING, 1):
            await connection.execute(text(statement))
            progress("tables", number, len(MENDING))
        if not await connection.scalar(text(BOUND)):
            await connection.execute(text(BIND))

    with in_plain_words():
        await database.write(work)


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Raise Refusal for what the database didn't allow."""
    try:
        yield
    except DBAPIError as error:
        if sqlstate(error) == NOT_ALLOWED:
            raise Refusal("The database's user should own Directus' tables, and may make temporary ones.") from error
        if sqlstate(error) == DEPENDED_ON:
            raise Refusal(
                "A view or a foreign key of your own depends on what would have to go, tables or columns that Directus "
                "10 and 11 don't share: take it away first. Nothing was changed."
            ) from error
        raise


async def _check(connection: AsyncConnection) -> None:
    broken = await broken_down(connection)
    if not (broken and broken.mendable):
        raise Refusal(broken.what if broken else UNKNOWN)
