"""Rewrites Directus 11's tables to those of Directus 10, from the temporary tables of `flatten`."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.import_writes import Progress
from app.upgrade.flatten import PUBLIC_ROLE
from app.upgrade.inspection import POLICIES_MIGRATION, ROLE_FLAGS

FOREIGN_KEYS = """
SELECT quote_ident(conname) FROM pg_constraint
WHERE contype = 'f' AND conrelid = CAST('directus_permissions' AS regclass)
AND confrelid = CAST('directus_policies' AS regclass)
"""
SEQUENCE = "pg_get_serial_sequence('directus_permissions', 'id')"
LAST_ID = f"""
SELECT greatest(0, max(id), pg_sequence_last_value(CAST({SEQUENCE} AS regclass))) FROM directus_permissions
"""

INSERT = "INSERT INTO directus_permissions (id, collection, action, permissions, validation, presets, fields, role)"
ROLE_OR_NULL = f"NULLIF({{}}, '{PUBLIC_ROLE}')"
COPY_SHARED = f"""
{INSERT}
SELECT :last_id + row_number() OVER (ORDER BY g.role = '{PUBLIC_ROLE}', g.role, id),
    collection, action, permissions, validation, presets, fields, {ROLE_OR_NULL.format("g.role")}
FROM rollcall_grants AS g JOIN directus_permissions ON id = permission WHERE together = 1 AND takers > 1
"""
INSERT_MERGED = f"""
{INSERT}
SELECT :last_id + row_number() OVER (ORDER BY role = '{PUBLIC_ROLE}', number), collection, action,
    CAST(permissions AS json), CAST(validation AS json), CAST(presets AS json), fields, {ROLE_OR_NULL.format("role")}
FROM rollcall_merged
"""
DELETE_OTHERS = """
DELETE FROM directus_permissions WHERE id <= :last_old_id
AND NOT EXISTS (SELECT FROM rollcall_grants WHERE permission = id AND together = 1 AND takers = 1)
"""
SET_ROLES = f"""
UPDATE directus_permissions AS p SET role = {ROLE_OR_NULL.format("g.role")} FROM rollcall_grants AS g
WHERE permission = id AND together = 1 AND takers = 1 AND p.role IS DISTINCT FROM {ROLE_OR_NULL.format("g.role")}
"""
ALTER_ROLES = (
    f"ALTER TABLE directus_roles {', '.join(f'ADD COLUMN {flag} {column}' for flag, column in ROLE_FLAGS.items())}",
    f"""
    UPDATE directus_roles SET {", ".join(f"{flag} = folded.{flag}" for flag in ROLE_FLAGS)}
    FROM rollcall_folded AS folded WHERE folded.role = id
    """,
    "ALTER TABLE directus_roles DROP COLUMN parent",
)
RENAME_POLICY_TO_ROLE = (
    "ALTER TABLE directus_permissions ALTER COLUMN policy DROP NOT NULL",
    "ALTER TABLE directus_permissions RENAME COLUMN policy TO role",
)
ADD_FOREIGN_KEY = """
ALTER TABLE directus_permissions ADD CONSTRAINT directus_permissions_role_foreign
FOREIGN KEY (role) REFERENCES directus_roles (id) ON DELETE CASCADE
"""
DROP_TABLES = ("DROP TABLE directus_access", "DROP TABLE directus_policies")
DELETE_MIGRATION = "DELETE FROM directus_migrations WHERE version = :step"


async def rewrite(connection: AsyncConnection, progress: Progress) -> None:
    """Rewrite the tables; `flatten` must have run in the same transaction."""
    for number, statement in enumerate(ALTER_ROLES, 1):
        await connection.execute(text(statement))
        progress("roles", number, len(ALTER_ROLES))
    await _rewrite_permissions(connection, progress)
    for statement in DROP_TABLES:
        await connection.execute(text(statement))
    await connection.execute(text(DELETE_MIGRATION), {"step": POLICIES_MIGRATION})


async def _rewrite_permissions(connection: AsyncConnection, progress: Progress) -> None:
    """Turn the permissions' policy column into the role column, and set the roles.

    An upgrade gives policies the ids of their roles, so that most rows need no change.
    """
    for key in (await connection.scalars(text(FOREIGN_KEYS))).all():
        await connection.execute(text(f"ALTER TABLE directus_permissions DROP CONSTRAINT {key}"))
    for statement in RENAME_POLICY_TO_ROLE:
        await connection.execute(text(statement))
    last_old_id = last_id = await connection.scalar(text(LAST_ID))
    for number, statement in enumerate((COPY_SHARED, INSERT_MERGED), 1):
        last_id += (await connection.execute(text(statement), {"last_id": last_id})).rowcount
        progress("permissions", number, 4)
    await connection.execute(text(DELETE_OTHERS), {"last_old_id": last_old_id})
    await connection.execute(text(SET_ROLES))
    progress("permissions", 3, 4)
    await connection.execute(text(ADD_FOREIGN_KEY))
    # Unlike setval, this is rolled back with the transaction.
    if last_id > last_old_id and (sequence := await connection.scalar(text(f"SELECT {SEQUENCE}"))):
        await connection.execute(text(f"ALTER SEQUENCE {sequence} RESTART WITH {last_id + 1}"))
    progress("permissions", 4, 4)
