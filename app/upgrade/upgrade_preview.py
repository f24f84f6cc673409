"""What an upgrade would do to a database, looked up without changing anything."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import POSTGRESQL
from app.db.database import Database
from app.flows.import_export import Progress
from app.upgrade.db_errors import TO_READ, translate_db_errors
from app.upgrade.difference_kinds import Difference, DifferenceKind, Direction
from app.upgrade.differences import differences
from app.upgrade.edition import Edition, detect_edition

# Whatever others write meanwhile, all of it is told of one moment.
LOOK = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
COUNTS = "SELECT (SELECT count(*) FROM directus_roles), (SELECT count(*) FROM directus_permissions)"
ROLES = """
    WITH first AS (SELECT * FROM directus_roles ORDER BY name, id LIMIT :shown),
    granted AS (
        SELECT role, count(*) AS many FROM directus_permissions WHERE role IN (SELECT id FROM first) GROUP BY role
    ),
    held AS (SELECT role, count(*) AS many FROM directus_users WHERE role IN (SELECT id FROM first) GROUP BY role)
    SELECT r.id, r.name, r.admin_access, r.app_access, r.enforce_tfa, nullif(r.ip_access, ''),
        coalesce(g.many, 0), coalesce(h.many, 0)
    FROM first r LEFT JOIN granted g ON g.role = r.id LEFT JOIN held h ON h.role = r.id ORDER BY r.name, r.id
"""
PUBLIC = "SELECT count(*) FROM directus_permissions WHERE role IS NULL"


class Role(NamedTuple):
    """A role as Directus 10 has it, and how many permissions and users."""

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
    """How many roles and permissions an upgrade changes, the first of the roles, and which rights differ.

    Of each kind of difference the first are kept, and all are counted: by kind, and by (role, way).
    """

    roles: int
    permissions: int
    public: int
    first: list[Role]
    kept: dict[DifferenceKind, list[Difference]] = field(default_factory=dict)
    by_kind: Counter[DifferenceKind] = field(default_factory=Counter)
    by_role: Counter[tuple[str | None, Direction]] = field(default_factory=Counter)

    def add(self, difference: Difference, shown: int) -> None:
        """Count one more difference, and keep it among the first `shown`."""
        kept = self.kept.setdefault(difference.kind, [])
        if len(kept) < shown:
            kept.append(difference)
        self.by_kind[difference.kind] += 1
        self.by_role[difference.role, difference.kind.way] += 1


async def survey(database: Database, shown: int, progress: Progress) -> UpgradePreview | None:
    """What an upgrade would do, at most `shown` of each list; None where it is done already.

    Reads in one read-only transaction. Raises Refusal for what is no database of Directus 10, as `upgrade` does.
    """
    with translate_db_errors(TO_READ):
        async with database.transaction() as connection:
            if database.dialect == POSTGRESQL:
                await connection.execute(text(LOOK))
            if await detect_edition(connection) is Edition.ELEVEN:
                return None
            return await _look(connection, shown, progress)


async def _look(connection: AsyncConnection, shown: int, progress: Progress) -> UpgradePreview:
    roles, permissions = (await connection.execute(text(COUNTS))).one()
    first = [Role(str(row[0]), *row[1:]) for row in await connection.execute(text(ROLES), {"shown": shown})]
    found = UpgradePreview(roles, permissions, await connection.scalar(text(PUBLIC)) or 0, first)
    async for difference in differences(connection, progress):
        found.add(difference, shown)
    return found
