"""Computes, in temporary tables, the access of each role with its ancestors and all their policies merged into it.

Writes temporary tables only. SQL handles all roles at once; permissions of the same role, collection and action are
merged in Python, in batches.
"""

import json
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.import_writes import Progress
from app.upgrade.merge_permissions import Json, LegacyGrant, merge

PUBLIC_ROLE = "00000000-0000-0000-0000-000000000000"
"""The id of the public in the role columns of the temporary tables."""
BATCH_SIZE = 5_000
"""Groups of permissions merged at once."""

IP_SET = """
(SELECT coalesce(array_agg(DISTINCT address ORDER BY address), '{}') FROM (
    SELECT btrim(part) AS address FROM unnest(string_to_array(ip_access, ',')) AS part
) AS parts WHERE address <> '')
"""

CREATE_HELD = f"""
CREATE TEMP TABLE rollcall_held ON COMMIT DROP AS
WITH RECURSIVE line (role, above, path) AS (
    SELECT id, parent, ARRAY[id] FROM directus_roles
    UNION ALL
    SELECT line.role, role.parent, path || role.id
    FROM line JOIN directus_roles AS role ON role.id = line.above WHERE role.id <> ALL (path)
), attached AS (
    SELECT line.role, policy, row_number() OVER (
        PARTITION BY line.role ORDER BY cardinality(path) DESC, sort, policy
    ) AS place
    FROM line JOIN directus_access AS access
    ON access.role = path[cardinality(path)] AND access."user" IS NULL
    UNION ALL
    SELECT CAST('{PUBLIC_ROLE}' AS uuid), policy, row_number() OVER (ORDER BY sort, policy)
    FROM directus_access WHERE role IS NULL AND "user" IS NULL
)
SELECT role, policy, place, {IP_SET} AS addresses, ip_access, admin_access, app_access, enforce_tfa
FROM (SELECT role, policy, min(place) AS place FROM attached GROUP BY role, policy) AS once
JOIN directus_policies ON directus_policies.id = policy
"""
"""The policies of each role, its farthest ancestor's first. IP address lists become sorted sets, to compare them."""

CREATE_FOLDED = f"""
CREATE TEMP TABLE rollcall_folded ON COMMIT DROP AS
SELECT role, policies, alike, admin_access, app_access, enforce_tfa, CASE WHEN alike THEN first_ip ELSE (
    SELECT string_agg(address, ',' ORDER BY first) FROM (
        SELECT btrim(part) AS address, min(place * 1000000 + number) AS first
        FROM rollcall_held AS held, unnest(string_to_array(ip_access, ',')) WITH ORDINALITY AS parts (part, number)
        WHERE held.role = each.role AND btrim(part) <> '' GROUP BY 1
    ) AS all_of_them
) END AS ip_access
FROM (
    SELECT role, count(policy) AS policies, count(DISTINCT addresses) <= 1 AS alike,
        coalesce(bool_or(admin_access), false) AS admin_access, coalesce(bool_or(app_access), false) AS app_access,
        coalesce(bool_or(enforce_tfa), false) AS enforce_tfa, (array_agg(ip_access ORDER BY place))[1] AS first_ip
    FROM (SELECT id AS role FROM directus_roles UNION ALL SELECT CAST('{PUBLIC_ROLE}' AS uuid)) AS roles
    LEFT JOIN rollcall_held USING (role) GROUP BY role
) AS each
"""
"""The flags of each role. If its policies list different IP addresses, the role is limited to all of them together."""

CREATE_GRANTS = f"""
CREATE TEMP TABLE rollcall_grants ON COMMIT DROP AS
SELECT role, permission.id AS permission, place,
    count(*) OVER (PARTITION BY role, collection, action) AS together,
    count(*) OVER (PARTITION BY permission.id) AS takers
FROM rollcall_held JOIN rollcall_folded USING (role)
JOIN directus_permissions AS permission ON permission.policy = rollcall_held.policy
WHERE addresses = '{{}}' OR (alike AND role <> '{PUBLIC_ROLE}')
"""
"""The permissions of each role. Those of a policy limited to IP addresses are left out unless the whole role is."""

CREATE_GROUPS = """
CREATE TEMP TABLE rollcall_groups ON COMMIT DROP AS
SELECT dense_rank() OVER (ORDER BY role, collection, action) AS number, role, permission, place
FROM rollcall_grants JOIN directus_permissions ON directus_permissions.id = permission WHERE together > 1
"""

CREATE_MERGED = """
CREATE TEMP TABLE rollcall_merged (
    number bigint, role uuid, collection text, action text,
    permissions text, validation text, presets text, fields text, narrows boolean, widens boolean
) ON COMMIT DROP
"""

SELECT_GROUPS = """
SELECT number, CAST(role AS text) AS role, collection, action, CAST(permissions AS text) AS permissions,
    CAST(validation AS text) AS validation, CAST(presets AS text) AS presets, fields
FROM rollcall_groups JOIN directus_permissions ON directus_permissions.id = permission
WHERE number > :after AND number <= :after + :page ORDER BY number, place, permission
"""

INSERT_MERGED = """
INSERT INTO rollcall_merged VALUES (:number, CAST(:role AS uuid), :collection, :action,
    :permissions, :validation, :presets, :fields, :narrows, :widens)
"""


STATEMENTS = (
    *(CREATE_HELD, "CREATE INDEX ON rollcall_held (role)", "ANALYZE rollcall_held"),
    *(CREATE_FOLDED, "ANALYZE rollcall_folded"),
    *(CREATE_GRANTS, "CREATE INDEX ON rollcall_grants (permission)", "ANALYZE rollcall_grants"),
    *(CREATE_GROUPS, "CREATE INDEX ON rollcall_groups (number)", "ANALYZE rollcall_groups"),
    CREATE_MERGED,
)
RULES = ("permissions", "validation", "presets")


async def flatten(connection: AsyncConnection, progress: Progress) -> None:
    """Create the tables `rollcall_held`, `_folded`, `_grants` and `_merged`, which are dropped with the transaction."""
    for number, statement in enumerate(STATEMENTS):
        progress("access", number, len(STATEMENTS))
        await connection.execute(text(statement))
    progress("access", len(STATEMENTS), len(STATEMENTS))
    last_group = await connection.scalar(text("SELECT coalesce(max(number), 0) FROM rollcall_groups"))
    for after in range(0, last_group, BATCH_SIZE):
        rows = (await connection.execute(text(SELECT_GROUPS), {"after": after, "page": BATCH_SIZE})).mappings()
        groups = [_merge_group(list(group)) for _, group in groupby(rows, itemgetter("number"))]
        await connection.execute(text(INSERT_MERGED), groups)
        progress("merging", min(after + BATCH_SIZE, last_group), last_group)


def _merge_group(rows: list[Any]) -> dict[str, Any]:
    """Merge the permissions of one role, collection and action into a row of `rollcall_merged`."""
    merged = merge(rows[0]["action"], [_parse_grant(row) for row in rows])
    grant = merged.grant
    return {
        **{name: rows[0][name] for name in ("number", "role", "collection", "action")},
        **dict(zip(RULES, _dump_all((grant.permissions, grant.validation, grant.presets)), strict=True)),
        "fields": grant.fields,
        "narrows": merged.narrows,
        "widens": merged.widens,
    }


def _parse_grant(row: Any) -> LegacyGrant:
    # The standard library parses integers of any size, which PostgreSQL's json may contain; orjson does not.
    rules = {name: None if row[name] is None else json.loads(row[name]) for name in RULES}
    return LegacyGrant(**rules, fields=row["fields"])


def _dump_all(values: Iterable[Json]) -> Iterable[str | None]:
    return (None if value is None else json.dumps(value, separators=(",", ":")) for value in values)
