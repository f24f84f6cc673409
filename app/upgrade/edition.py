"""Detects whether a database is of Directus 10 or has the policies of Directus 11."""

from enum import Enum

from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.upgrade.inspection import POLICIES_MIGRATION, ROLE_FLAGS, DatabaseColumns, inspect_database
from app.upgrade.partial_revert import detect_partial_revert

LAST_MIGRATION_OF_10 = "20240716A"
"""The last migration of Directus 10.13.4."""

ROLES = {
    "id": "uuid NOT NULL",
    "name": "character varying(100) NOT NULL",
    "icon": "character varying(30) NOT NULL",
    "description": "text",
    **{flag: declaration.partition(" DEFAULT")[0] for flag, declaration in ROLE_FLAGS.items()},
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
EXPECTED_COLUMNS = {
    "directus_roles": ROLES,
    "directus_permissions": PERMISSIONS,
    "directus_users": {"id": "uuid NOT NULL"},
}
"""The columns of Directus 10.13 that an upgrade reads or removes. A table may have more columns."""
ADDED_IN_11 = ("directus_policies", "directus_access", "directus_roles.parent", "directus_permissions.policy")
REMOVED_IN_11 = (*(f"directus_roles.{flag}" for flag in ROLE_FLAGS), "directus_permissions.role")
ROLLCALL_TABLE = "rollcall_version"


class Edition(Enum):
    """The Directus version that a database's tables belong to."""

    TEN = "Directus 10"
    ELEVEN = "Directus 11"


async def detect_edition(connection: AsyncConnection) -> Edition:
    """Return which edition a database is of.

    Raises:
        OperatorError: The database is of neither edition, is older than Directus 10.13.4, is laid out differently, or
            is between the two editions. The message describes what was found, and how to repair it if possible.
    """
    if connection.dialect.name != POSTGRESQL:
        raise OperatorError(
            "Rollcall upgrades PostgreSQL databases only, and this is SQLite. Let Directus 11 itself migrate the file "
            "(`npx directus database migrate:latest`), then run `rollcall bootstrap`."
        )
    database = await inspect_database(connection)
    if partial_revert := await detect_partial_revert(connection, database):
        raise OperatorError(partial_revert.description)
    return edition_of(database)


def edition_of(database: DatabaseColumns) -> Edition:
    """Return the edition of an inspected database, partial reverts aside.

    Raises:
        OperatorError: As `detect_edition`.
    """
    added = [name for name in ADDED_IN_11 if database.has(name)]
    removed = [name for name in REMOVED_IN_11 if database.has(name)]
    if not added and not removed:
        raise OperatorError(
            "This is not a Directus database: it has no directus_roles with access flags, and no policies."
        )
    if len(added) == len(ADDED_IN_11) and not removed:
        return Edition.ELEVEN
    if added or POLICIES_MIGRATION in database.migrations:
        raise OperatorError(_mixed_message(database, added, removed))
    _check_layout(database)
    return Edition.TEN


def _mixed_message(database: DatabaseColumns, added: list[str], removed: list[str]) -> str:
    verb = "records" if POLICIES_MIGRATION in database.migrations else "does not record"
    return (
        f"This database is between Directus 10 and 11. Of 11 it has {_listed(added)}; of 10 it still has "
        f"{_listed(removed)}; directus_migrations {verb} {POLICIES_MIGRATION}. Restore a backup from before, and "
        "upgrade that."
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def _check_layout(database: DatabaseColumns) -> None:
    """Raise OperatorError unless a Directus 10 database is laid out as 10.13 does, without Rollcall's tables."""
    if LAST_MIGRATION_OF_10 not in database.migrations:
        newest = database.migrations[-1] if database.migrations else "none"
        raise OperatorError(
            f"This Directus database is older than 10.13.4: the newest migration it records is {newest}, and "
            f"{LAST_MIGRATION_OF_10} is missing. First migrate it to the last Directus 10 with Directus' migrations."
        )
    for table, columns in EXPECTED_COLUMNS.items():
        for name, expected in columns.items():
            found = database.columns.get(table, {}).get(name)
            if found != expected:
                state = f"is {found}" if found else "is missing"
                raise OperatorError(
                    f"{table}.{name} {state}, where Directus 10.13 has {expected}. Rollcall can't upgrade this layout."
                )
    if database.has(ROLLCALL_TABLE):
        raise OperatorError(
            "This Directus 10 database has Rollcall's own tables, which were created for another layout. Remove them "
            "with `rollcall migrate down base`, then upgrade."
        )
