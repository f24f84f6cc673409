"""Finds what a revert to Directus 10 would lose, and where it would give users less access, or more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.terminal import printable
from app.db.seeds import PUBLIC_POLICY
from app.upgrade.flatten import PUBLIC_ROLE


@dataclass(frozen=True, slots=True)
class Loss:
    """One kind of loss: its table, description and number of rows, and descriptions of the first rows."""

    table: str
    description: str
    count: int
    rows: tuple[str, ...]

    def __str__(self) -> str:
        more = ", …" if self.count > len(self.rows) else ""
        return f"{self.table}: {self.description}, {self.count:,} in all: {', '.join(map(printable, self.rows))}{more}"


POLICIES_OF_UPGRADE = f"""
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
"""The policies as an upgrade creates them: attached to a single role and named like it, or the public one."""
POLICY_LABEL = "name || ' (' || id || ')'"
ROLE_LABEL = "(SELECT name FROM directus_roles AS named WHERE named.id = {})"
PERMISSION_LABEL = f"coalesce({ROLE_LABEL.format('role')}, 'the public') || ': ' || collection || ' ' || action"

LOSSES: dict[tuple[str, str], str] = {
    ("directus_access", "policies attached to users, who lose the access these grant"): """
        SELECT name || ' of user ' || "user" AS row
        FROM directus_access JOIN directus_policies ON directus_policies.id = policy WHERE "user" IS NOT NULL
    """,
    ("directus_users", "the only active admins, who would no longer be admins"): """
        SELECT CAST(id AS text) AS row FROM directus_users AS admin WHERE status = 'active'
        AND EXISTS (
            SELECT FROM directus_access JOIN directus_policies ON directus_policies.id = policy
            WHERE "user" = admin.id AND admin_access
        ) AND NOT EXISTS (
            SELECT FROM directus_users JOIN rollcall_folded USING (role) WHERE status = 'active' AND admin_access
        )
    """,
    ("directus_policies", "policies that are not attached"): f"""
        SELECT {POLICY_LABEL} AS row FROM directus_policies WHERE id NOT IN (SELECT policy FROM directus_access)
    """,
    ("directus_policies", "policies of several roles, or with another name, icon or description than their role"): f"""
        SELECT {POLICY_LABEL} AS row FROM directus_policies WHERE id NOT IN ({POLICIES_OF_UPGRADE})
        AND id IN (SELECT policy FROM directus_access WHERE "user" IS NULL)
    """,
    (
        "directus_policies",
        "public policies with IP addresses or access flags, which the public can't have in Directus 10",
    ): f"""
        SELECT {POLICY_LABEL} AS row FROM rollcall_held AS held JOIN directus_policies AS policy ON id = policy
        WHERE role = '{PUBLIC_ROLE}'
        AND (addresses <> '{{}}' OR held.admin_access OR held.app_access OR held.enforce_tfa)
    """,
    ("directus_roles", "roles with a parent, whose permissions they get as copies"): f"""
        SELECT name || ' below ' || {ROLE_LABEL.format("roles.parent")} AS row
        FROM directus_roles AS roles WHERE parent IS NOT NULL
    """,
    (
        "directus_roles",
        "roles with policies for different IP addresses, which will be limited to all of these together",
    ): f"""
        SELECT {ROLE_LABEL.format("role")} || ' (' || ip_access || ')' AS row
        FROM rollcall_folded WHERE NOT alike AND role <> '{PUBLIC_ROLE}'
    """,
    ("directus_permissions", "permissions of policies limited to IP addresses, unless their whole role is"): f"""
        SELECT {PERMISSION_LABEL} AS row FROM rollcall_held JOIN rollcall_folded USING (role)
        JOIN directus_permissions AS permission ON permission.policy = rollcall_held.policy
        WHERE addresses <> '{{}}' AND (NOT alike OR role = '{PUBLIC_ROLE}')
    """,
    ("directus_permissions", "merged permissions that restrict what one of them left unrestricted"): f"""
        SELECT {PERMISSION_LABEL} AS row FROM rollcall_merged WHERE narrows
    """,
    ("directus_permissions", "merged permissions that may allow what none of them did"): f"""
        SELECT {PERMISSION_LABEL} AS row FROM rollcall_merged WHERE widens
    """,
    ("directus_permissions", "rules that use $CURRENT_ROLES or $CURRENT_POLICIES, unknown to Directus 10"): f"""
        SELECT {PERMISSION_LABEL} AS row FROM rollcall_grants JOIN directus_permissions ON id = permission
        WHERE concat(permissions, validation, presets) ~ '\\$CURRENT_(ROLES|POLICIES)'
    """,
    ("directus_policies, directus_access", "columns that Directus does not have"): """
        SELECT table_name || '.' || column_name AS row FROM information_schema.columns
        WHERE table_schema = current_schema()
        AND table_name IN ('directus_policies', 'directus_access') AND column_name NOT IN ('id', 'name', 'icon',
        'description', 'ip_access', 'enforce_tfa', 'admin_access', 'app_access', 'role', 'user', 'policy', 'sort')
    """,
}
ROLLCALL_LOSSES: dict[tuple[str, str], str] = {
    ("rollcall_recovery_codes", "users whose recovery codes become invalid"): """
        SELECT DISTINCT CAST("user" AS text) AS row FROM rollcall_recovery_codes
    """,
    ("rollcall_tokens", "users whose API tokens become invalid"): """
        SELECT DISTINCT CAST("user" AS text) AS row FROM rollcall_tokens
    """,
    ("rollcall_password_history", "users who may choose former passwords again"): """
        SELECT DISTINCT CAST("user" AS text) AS row FROM rollcall_password_history
    """,
    ("rollcall_passkeys", "users whose passkeys become invalid"): """
        SELECT DISTINCT CAST("user" AS text) AS row FROM rollcall_passkeys
    """,
    ("rollcall_outbox", "queued mails that were not sent"): """
        SELECT kind || ', due ' || due AS row FROM rollcall_outbox WHERE sent IS NULL
    """,
}
FIRST_ROWS = "SELECT row, count(*) OVER () AS count FROM ({}) AS found ORDER BY row LIMIT {}"


async def find_losses(connection: AsyncConnection, max_rows: int, *, has_rollcall_tables: bool) -> tuple[Loss, ...]:
    """Return every kind of loss, each with at most `max_rows` rows; requires the tables that `flatten` creates."""
    losses = []
    queries = LOSSES | ROLLCALL_LOSSES if has_rollcall_tables else LOSSES
    for (table, description), query in queries.items():
        rows: Sequence[Any] = (await connection.exec_driver_sql(FIRST_ROWS.format(query, max_rows))).all()
        if rows:
            losses.append(Loss(table, description, rows[0][1], tuple(label for label, _ in rows)))
    return tuple(losses)
