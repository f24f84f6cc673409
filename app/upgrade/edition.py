"""Which edition a database is of: Directus 10, or one that has Directus 11's policies."""

from enum import Enum

from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.upgrade.inspection import FLAGS, STEP, DatabaseColumns, inspect_database
from app.upgrade.partial_revert import detect_partial_revert

BEFORE = "20240716A"
"""The last migration of Directus 10.13.4."""

ROLES = {
    "id": "uuid NOT NULL",
    "name": "character varying(100) NOT NULL",
    "icon": "character varying(30) NOT NULL",
    "description": "text",
    **{flag: kind.partition(" DEFAULT")[0] for flag, kind in FLAGS.items()},
}
PERMISSIONS = {
    "id": "integer NOT NULL",
    "role": "uuid",
    "collection": "character varying(64) NOT NULL",
    "action": "character varying(10) NOT NULL",
    "permissions": "json",
    "validation": "json",
    "presets": "json",
    "fields": "text",
}
KNOWN = {"directus_roles": ROLES, "directus_permissions": PERMISSIONS, "directus_users": {"id": "uuid NOT NULL"}}
"""Directus 10.13's columns that an upgrade reads or takes away; others may stand beside them."""
NEW = ("directus_policies", "directus_access", "directus_roles.parent", "directus_permissions.policy")
OLD = (*(f"directus_roles.{flag}" for flag in FLAGS), "directus_permissions.role")
OURS = "rollcall_version"


class Edition(Enum):
    """Which edition's tables stand in a database."""

    TEN = "Directus 10"
    ELEVEN = "Directus 11"


async def detect_edition(connection: AsyncConnection) -> Edition:
    """Which edition a database is of; nothing in it is changed.

    Raises Refusal, which says what was found, for one that is of neither, that is older than Directus 10.13.4 or
    otherwise laid out, or that stands between the two; where that can be mended, it says how.
    """
    if connection.dialect.name != POSTGRESQL:
        raise OperatorError(
            "An upgrade is only done on PostgreSQL, and this is SQLite: let Directus 11 itself migrate the file "
            "(`npx directus database migrate:latest`), then run `rollcall bootstrap`."
        )
    found = await inspect_database(connection)
    if broken := await detect_partial_revert(connection, found):
        raise OperatorError(broken.told)
    return form_of(found)


def form_of(found: DatabaseColumns) -> Edition:
    """The same of what was found, but for what a way back left behind; raises Refusal as above."""
    new, old = [name for name in NEW if found.has(name)], [name for name in OLD if found.has(name)]
    if not new and not old:
        raise OperatorError(
            "This is not a Directus database: directus_roles, with its rights or with policies, isn't here."
        )
    if len(new) == len(NEW) and not old:
        return Edition.ELEVEN
    if new or STEP in found.recorded:
        raise OperatorError(_between(found, new, old))
    _check(found)
    return Edition.TEN


def _between(found: DatabaseColumns, new: list[str], old: list[str]) -> str:
    record = f"records {STEP}" if STEP in found.recorded else f"doesn't record {STEP}"
    return (
        f"This database stands between Directus 10 and 11. Of 11 it has {_listed(new)}; of 10 it still has "
        f"{_listed(old)}; directus_migrations {record}. Go back to a copy from before, and upgrade that."
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def _check(found: DatabaseColumns) -> None:
    """Raise Refusal for a database of Directus 10 that isn't laid out as 10.13 does."""
    if BEFORE not in found.recorded:
        newest = found.recorded[-1] if found.recorded else "none"
        raise OperatorError(
            f"This is a Directus database older than 10.13.4: the newest migration it records is {newest}, and not yet "
            f"{BEFORE}. Bring it to the last Directus 10 with Directus' own migrations first."
        )
    for table, columns in KNOWN.items():
        for name, kind in columns.items():
            there = found.columns.get(table, {}).get(name)
            if there != kind:
                told = f"is {there}" if there else "is missing"
                raise OperatorError(
                    f"{table}.{name} {told}, where Directus 10.13 has {kind}: what that means isn't known."
                )
    if found.has(OURS):
        raise OperatorError(
            "Rollcall's own tables stand in this Directus 10 database, made for another: `rollcall migrate down base` "
            "takes them away, then upgrade."
        )
