"""Previews an upgrade without changing the database."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import POSTGRESQL
from app.db.database import Database
from app.flows.import_writes import Progress
from app.upgrade.db_errors import READ_REQUIRED_MESSAGE, translate_db_errors
from app.upgrade.difference_kinds import Difference, DifferenceKind, Direction
from app.upgrade.differences import find_differences
from app.upgrade.edition import Edition, detect_edition

# One snapshot for all queries, whatever other sessions write meanwhile.
SET_TRANSACTION = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
COUNTS = "SELECT (SELECT count(*) FROM directus_roles), (SELECT count(*) FROM directus_permissions)"
ROLES = """
    WITH first AS (SELECT * FROM directus_roles ORDER BY name, id LIMIT :max_rows),
    granted AS (
        SELECT role, count(*) AS many FROM directus_permissions WHERE role IN (SELECT id FROM first) GROUP BY role
    ),
    held AS (SELECT role, count(*) AS many FROM directus_users WHERE role IN (SELECT id FROM first) GROUP BY role)
    SELECT r.id, r.name, r.admin_access, r.app_access, r.enforce_tfa, nullif(r.ip_access, ''),
        coalesce(g.many, 0), coalesce(h.many, 0)
    FROM first r LEFT JOIN granted g ON g.role = r.id LEFT JOIN held h ON h.role = r.id ORDER BY r.name, r.id
"""
PUBLIC_PERMISSIONS = "SELECT count(*) FROM directus_permissions WHERE role IS NULL"


class RoleSummary(NamedTuple):
    """A Directus 10 role with the numbers of its permissions and users."""

    id: str
    name: str
    admin: bool
    app: bool
    enforce_tfa: bool
    ip_access: str | None
    permissions: int
    users: int


@dataclass(slots=True)
class UpgradePreview:
    """The numbers of roles and permissions an upgrade changes, the first roles, and the differences.

    Stores the first differences of each kind; counts all of them by kind, and by (role, direction).
    """

    role_count: int
    permission_count: int
    public_permission_count: int
    roles: list[RoleSummary]
    differences: dict[DifferenceKind, list[Difference]] = field(default_factory=dict)
    by_kind: Counter[DifferenceKind] = field(default_factory=Counter)
    by_role: Counter[tuple[str | None, Direction]] = field(default_factory=Counter)

    def add(self, difference: Difference, max_rows: int) -> None:
        """Count a difference, and store it unless `max_rows` of its kind are stored already."""
        stored = self.differences.setdefault(difference.kind, [])
        if len(stored) < max_rows:
            stored.append(difference)
        self.by_kind[difference.kind] += 1
        self.by_role[difference.role, difference.kind.direction] += 1


async def preview_upgrade(database: Database, max_rows: int, progress: Progress) -> UpgradePreview | None:
    """Preview an upgrade with at most `max_rows` entries of each list; return None if it has been done already.

    Raises:
        OperatorError: The database is not of Directus 10, as for `upgrade`.
    """
    with translate_db_errors(READ_REQUIRED_MESSAGE):
        async with database.transaction() as connection:
            if database.dialect == POSTGRESQL:
                await connection.execute(text(SET_TRANSACTION))
            if await detect_edition(connection) is Edition.ELEVEN:
                return None
            return await _read_preview(connection, max_rows, progress)


async def _read_preview(connection: AsyncConnection, max_rows: int, progress: Progress) -> UpgradePreview:
    role_count, permission_count = (await connection.execute(text(COUNTS))).one()
    rows = await connection.execute(text(ROLES), {"max_rows": max_rows})
    roles = [RoleSummary(str(row[0]), *row[1:]) for row in rows]
    public_permission_count = await connection.scalar(text(PUBLIC_PERMISSIONS)) or 0
    preview = UpgradePreview(role_count, permission_count, public_permission_count, roles)
    async for difference in find_differences(connection, progress):
        preview.add(difference, max_rows)
    return preview
