"""Detects the states in which Directus 11.17.4's own revert to Directus 10 leaves a database."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.upgrade.inspection import POLICIES_MIGRATION, ROLE_FLAGS, DatabaseColumns

COLUMNS_OF_10 = {
    **{f"directus_roles.{flag}": kind for flag, kind in ROLE_FLAGS.items()},
    "directus_permissions.role": "uuid",
}
COLUMNS_OF_11 = (
    "directus_roles.parent",
    "directus_permissions.policy",
    "directus_policies.id",
    "directus_access.policy",
)

NO_DATA_LOST = """
SELECT NOT EXISTS (
    SELECT FROM directus_roles
    WHERE ip_access IS NOT NULL OR enforce_tfa OR admin_access OR NOT app_access
) AND NOT EXISTS (SELECT FROM directus_permissions WHERE role IS NOT NULL OR policy IS NULL)
AND EXISTS (SELECT FROM directus_policies) AND EXISTS (SELECT FROM directus_access)
"""
ALL_PUBLIC = """
SELECT NOT EXISTS (SELECT FROM directus_permissions WHERE role IS NOT NULL)
AND EXISTS (
    SELECT FROM directus_permissions GROUP BY collection, action
    HAVING count(DISTINCT concat_ws('|', permissions, validation, presets, fields)) > 1
)
AND EXISTS (
    SELECT FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'a'
    AND conrelid = CAST('directus_permissions' AS regclass) AND confrelid = CAST('directus_roles' AS regclass)
)
"""
"""Permissions that belonged to different roles are all public, and the foreign key is not one of Directus 10."""


@dataclass(frozen=True, slots=True)
class PartialRevert:
    """What Directus' own revert left: whether the remaining data is enough to repair it, and a description."""

    repairable: bool
    description: str


INTERRUPTED = PartialRevert(
    repairable=True,
    description="Directus' own revert was interrupted in this database: roles have the columns of Directus 10 again, "
    "but these are empty; policies and permissions are intact. `rollcall upgrade --repair` restores Directus 11's "
    "tables.",
)
COMPLETED = PartialRevert(
    repairable=False,
    description="This looks like the result of Directus 11.17.4's own revert: every permission is public, and the "
    "roles they belonged to are lost. Restore a backup from before the revert.",
)


async def detect_partial_revert(connection: AsyncConnection, database: DatabaseColumns) -> PartialRevert | None:
    """Return what Directus 11.17.4's own revert left behind; None for a database in any other state."""
    if any(database.declaration(name) != declaration for name, declaration in COLUMNS_OF_10.items()):
        return None
    remaining = [name for name in COLUMNS_OF_11 if database.has(name)]
    is_recorded = POLICIES_MIGRATION in database.migrations
    if len(remaining) == len(COLUMNS_OF_11) and is_recorded and await connection.scalar(text(NO_DATA_LOST)):
        return INTERRUPTED
    if not remaining and not is_recorded and database.migrations and await connection.scalar(text(ALL_PUBLIC)):
        return COMPLETED
    return None
