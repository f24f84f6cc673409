"""Lays the tables out as Directus 10 does and fills them with what was worked out before."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.flows.import_export import Progress
from app.upgrade.flatten import PUBLIC
from app.upgrade.inspection import FLAGS, STEP

KEYS = """
SELECT quote_ident(conname) FROM pg_constraint
WHERE contype = 'f' AND conrelid = CAST('directus_permissions' AS regclass)
AND confrelid = CAST('directus_policies' AS regclass)
"""
SEQUENCE = "pg_get_serial_sequence('directus_permissions', 'id')"
NEWEST = f"""
SELECT greatest(0, max(id), pg_sequence_last_value(CAST({SEQUENCE} AS regclass))) FROM directus_permissions
"""

PUT = "INSERT INTO directus_permissions (id, collection, action, permissions, validation, presets, fields, role)"
OWNER = f"NULLIF({{}}, '{PUBLIC}')"
COPY = f"""
{PUT}
SELECT :newest + row_number() OVER (ORDER BY taken.role = '{PUBLIC}', taken.role, id),
    collection, action, permissions, validation, presets, fields, {OWNER.format("taken.role")}
FROM rollcall_grants AS taken JOIN directus_permissions ON id = permission WHERE together = 1 AND takers > 1
"""
WRITE_MERGED = f"""
{PUT}
SELECT :newest + row_number() OVER (ORDER BY role = '{PUBLIC}', number), collection, action,
    CAST(permissions AS json), CAST(validation AS json), CAST(presets AS json), fields, {OWNER.format("role")}
FROM rollcall_merged
"""
DELETE = """
DELETE FROM directus_permissions WHERE id <= :oldest
AND NOT EXISTS (SELECT FROM rollcall_grants WHERE permission = id AND together = 1 AND takers = 1)
"""
HAND_OVER = f"""
UPDATE directus_permissions AS kept SET role = {OWNER.format("taken.role")} FROM rollcall_grants AS taken
WHERE permission = id AND together = 1 AND takers = 1 AND kept.role IS DISTINCT FROM {OWNER.format("taken.role")}
"""
ROLES = (
    f"ALTER TABLE directus_roles {', '.join(f'ADD COLUMN {flag} {kind}' for flag, kind in FLAGS.items())}",
    f"""
    UPDATE directus_roles SET {", ".join(f"{flag} = folded.{flag}" for flag in FLAGS)}
    FROM rollcall_folded AS folded WHERE folded.role = id
    """,
    "ALTER TABLE directus_roles DROP COLUMN parent",
)
RENAME = (
    "ALTER TABLE directus_permissions ALTER COLUMN policy DROP NOT NULL",
    "ALTER TABLE directus_permissions RENAME COLUMN policy TO role",
)
BIND = """
ALTER TABLE directus_permissions ADD CONSTRAINT directus_permissions_role_foreign
FOREIGN KEY (role) REFERENCES directus_roles (id) ON DELETE CASCADE
"""
DROP = ("DROP TABLE directus_access", "DROP TABLE directus_policies")
FORGET = "DELETE FROM directus_migrations WHERE version = :step"


async def rewrite(connection: AsyncConnection, progress: Progress) -> None:
    """Make Directus 10's tables of Directus 11's; `flatten` has to come first, in the same transaction."""
    for number, statement in enumerate(ROLES, 1):
        await connection.execute(text(statement))
        progress("roles", number, len(ROLES))
    await _permissions(connection, progress)
    for statement in DROP:
        await connection.execute(text(statement))
    await connection.execute(text(FORGET), {"step": STEP})


async def _permissions(connection: AsyncConnection, progress: Progress) -> None:
    """The column with a permission's policy stays where it is and becomes the one with its role.

    After an upgrade both had the same keys, so that most rows needn't be touched.
    """
    for key in (await connection.scalars(text(KEYS))).all():
        await connection.execute(text(f"ALTER TABLE directus_permissions DROP CONSTRAINT {key}"))
    for statement in RENAME:
        await connection.execute(text(statement))
    oldest = newest = await connection.scalar(text(NEWEST))
    for number, statement in enumerate((COPY, WRITE_MERGED), 1):
        newest += (await connection.execute(text(statement), {"newest": newest})).rowcount
        progress("permissions", number, 4)
    await connection.execute(text(DELETE), {"oldest": oldest})
    await connection.execute(text(HAND_OVER))
    progress("permissions", 3, 4)
    await connection.execute(text(BIND))
    # Unlike setval this is undone with the transaction.
    if newest > oldest and (sequence := await connection.scalar(text(f"SELECT {SEQUENCE}"))):
        await connection.execute(text(f"ALTER SEQUENCE {sequence} RESTART WITH {newest + 1}"))
    progress("permissions", 4, 4)
