"""What going back to Directus 10 would lose, and where it would leave somebody with fewer rights, or with more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.seeds import PUBLIC_POLICY
from app.upgrade.flatten import PUBLIC
from app.upgrade.text_tables import shown


@dataclass(frozen=True, slots=True)
class Loss:
    """One kind of thing that doesn't come along: in which table, what, how many rows, and the first few of them."""

    table: str
    what: str
    count: int
    rows: tuple[str, ...]

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.rows) else ""
        return f"{self.table}: {self.what}, {self.count:,} in all: {', '.join(map(shown, self.rows))}{more}"


AS_MADE = f"""
SELECT policy FROM (
    SELECT role, policy, count(*) OVER (PARTITION BY policy) = 1 AND count(*) OVER (PARTITION BY role) = 1 AS alone
    FROM directus_access WHERE "user" IS NULL
) AS access
JOIN directus_policies AS policy ON policy.id = policy LEFT JOIN directus_roles AS role ON role.id = role
WHERE alone
AND policy.name = coalesce(role.name, '{PUBLIC_POLICY["name"]}')
AND policy.icon = coalesce(role.icon, '{PUBLIC_POLICY["icon"]}')
AND (policy.description = '{PUBLIC_POLICY["description"]}' OR role.id IS NOT NULL)
AND (policy.description IS NOT DISTINCT FROM role.description OR role.id IS NULL
    OR policy.description = replace(role.description, '$t:admin_description', '$t:admin_policy_description'))
"""
"""The policies that are one role's alone and bear its name, and the public one: as the way up makes them."""
POLICY = "name || ' (' || id || ')'"
ROLE = "(SELECT name FROM directus_roles AS named WHERE named.id = {})"
GRANT = f"coalesce({ROLE.format('role')}, 'the public') || ': ' || collection || ' ' || action"

LOSSES: dict[tuple[str, str], str] = {
    ("directus_access", "policies of single users, who lose what rights they have by them"): """
        SELECT name || ' of user ' || "user" AS row
        FROM directus_access JOIN directus_policies ON directus_policies.id = policy WHERE "user" IS NOT NULL
    """,
    ("directus_users", "the only active admins, who would be none any more"): """
        SELECT CAST(id AS text) AS row FROM directus_users AS admin WHERE status = 'active'
        AND EXISTS (
            SELECT FROM directus_access JOIN directus_policies ON directus_policies.id = policy
            WHERE "user" = admin.id AND admin_access
        ) AND NOT EXISTS (
            SELECT FROM directus_users JOIN rollcall_folded USING (role) WHERE status = 'active' AND admin_access
        )
    """,
    ("directus_policies", "policies that nobody has"): f"""
        SELECT {POLICY} AS row FROM directus_policies WHERE id NOT IN (SELECT policy FROM directus_access)
    """,
    ("directus_policies", "policies that aren't one role's alone or aren't called and described as it is"): f"""
        SELECT {POLICY} AS row FROM directus_policies WHERE id NOT IN ({AS_MADE})
        AND id IN (SELECT policy FROM directus_access WHERE "user" IS NULL)
    """,
    ("directus_policies", "public policies with addresses or access of their own, which the public can't have"): f"""
        SELECT {POLICY} AS row FROM rollcall_held AS held JOIN directus_policies AS policy ON id = policy
        WHERE role = '{PUBLIC}'
        AND (addresses <> '{{}}' OR held.admin_access OR held.app_access OR held.enforce_tfa)
    """,
    ("directus_roles", "roles below others, whose rights they get as copies"): f"""
        SELECT name || ' below ' || {ROLE.format("roles.parent")} AS row
        FROM directus_roles AS roles WHERE parent IS NOT NULL
    """,
    ("directus_roles", "roles with policies for different addresses, which will all hold at just these"): f"""
        SELECT {ROLE.format("role")} || ' (' || ip_access || ')' AS row
        FROM rollcall_folded WHERE NOT alike AND role <> '{PUBLIC}'
    """,
    ("directus_permissions", "permissions of those policies, where they are bound to addresses"): f"""
        SELECT {GRANT} AS row FROM rollcall_held JOIN rollcall_folded USING (role)
        JOIN directus_permissions AS permission ON permission.policy = rollcall_held.policy
        WHERE addresses <> '{{}}' AND (NOT alike OR role = '{PUBLIC}')
    """,
    ("directus_permissions", "several that become one, which restricts what one of them left free"): f"""
        SELECT {GRANT} AS row FROM rollcall_merged WHERE narrows
    """,
    ("directus_permissions", "several that become one, which may allow what none of them did"): f"""
        SELECT {GRANT} AS row FROM rollcall_merged WHERE widens
    """,
    ("directus_permissions", "rules that speak of $CURRENT_ROLES or $CURRENT_POLICIES, unknown to Directus 10"): f"""
        SELECT {GRANT} AS row FROM rollcall_grants JOIN directus_permissions ON id = permission
        WHERE concat(permissions, validation, presets) ~ '\\$CURRENT_(ROLES|POLICIES)'
    """,
    ("directus_policies, directus_access", "columns of your own"): """
        SELECT table_name || '.' || column_name AS row FROM information_schema.columns
        WHERE table_schema = current_schema()
        AND table_name IN ('directus_policies', 'directus_access') AND column_name NOT IN ('id', 'name', 'icon',
        'description', 'ip_access', 'enforce_tfa', 'admin_access', 'app_access', 'role', 'user', 'policy', 'sort')
    """,
}
OF_OURS: dict[tuple[str, str], str] = {
    ("rollcall_recovery_codes", "users whose recovery codes are good no more"): """
        SELECT DISTINCT CAST("user" AS text) AS row FROM rollcall_recovery_codes
    """,
    ("rollcall_outbox", "mails that haven't gone yet"): """
        SELECT kind || ', due ' || due AS row FROM rollcall_outbox WHERE sent IS NULL
    """,
}
FIRST = "SELECT row, count(*) OVER () AS count FROM ({}) AS found ORDER BY row LIMIT {}"


async def find_losses(connection: AsyncConnection, named: int, *, adopted: bool) -> tuple[Loss, ...]:
    """Every kind of loss there would be, after `flatten`, naming at most so many rows of each.

    `adopted` tells whether our own tables stand there too.
    """
    losses = []
    for (table, what), question in (LOSSES | OF_OURS if adopted else LOSSES).items():
        rows: Sequence[Any] = (await connection.exec_driver_sql(FIRST.format(question, named))).all()
        if rows:
            losses.append(Loss(table, what, rows[0][1], tuple(name for name, _ in rows)))
    return tuple(losses)
