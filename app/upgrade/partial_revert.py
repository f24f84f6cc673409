"""Recognises what the way back of Directus 11.17.4 itself leaves behind, between 11 and 10."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.upgrade.inspection import FLAGS, STEP, DatabaseColumns

TEN = {**{f"directus_roles.{flag}": kind for flag, kind in FLAGS.items()}, "directus_permissions.role": "uuid"}
ELEVEN = ("directus_roles.parent", "directus_permissions.policy", "directus_policies.id", "directus_access.policy")

UNTOUCHED = """
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
"""Permissions of roles that had different ones lie side by side, and the key isn't the one a Directus 10 made."""


@dataclass(frozen=True, slots=True)
class PartialRevert:
    """What that way back left behind, with what to do, and whether it can be mended from what is still there."""

    mendable: bool
    told: str


HALFWAY = PartialRevert(
    mendable=True,
    told="Directus' own way back broke off here: roles have the columns of Directus 10 again, with nothing in them, "
    "and policies and permissions are still whole. `rollcall upgrade --mend` makes a whole Directus 11 of it again.",
)
ALL_GONE = PartialRevert(
    mendable=False,
    told="This looks like what Directus 11.17.4's own way back makes where it comes to its end: every permission is "
    "the public's, and which role it was is written nowhere. Only a copy from before can bring that back.",
)


async def detect_partial_revert(connection: AsyncConnection, found: DatabaseColumns) -> PartialRevert | None:
    """What Directus 11.17.4's own way back left behind; None where a database is in any other state."""
    if any(found.declared(name) != kind for name, kind in TEN.items()):
        return None
    new, recorded = [name for name in ELEVEN if found.has(name)], STEP in found.recorded
    if len(new) == len(ELEVEN) and recorded and await connection.scalar(text(UNTOUCHED)):
        return HALFWAY
    if not new and not recorded and found.recorded and await connection.scalar(text(ALL_PUBLIC)):
        return ALL_GONE
    return None
