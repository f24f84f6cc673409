"""Upgrades a Directus 10 database to Directus 11: creates a policy for each role, in one transaction."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.database import Database
from app.db.migrate import acquire_migration_lock
from app.db.seeds import PUBLIC_POLICY
from app.db.table_check import missing_columns
from app.flows.import_writes import Progress
from app.upgrade.db_errors import translate_db_errors
from app.upgrade.edition import Edition, detect_edition
from app.upgrade.inspection import POLICIES_MIGRATION, POLICIES_MIGRATION_NAME, ROLE_FLAGS
from app.upgrade.locks import acquire_locks

BATCH_SIZE = 50_000
"""Permissions moved by one statement; progress is reported between statements."""

CREATE_POLICIES = """
    CREATE TABLE directus_policies (
        id uuid CONSTRAINT directus_policies_pkey PRIMARY KEY,
        name varchar(100) NOT NULL,
        icon varchar(64) NOT NULL DEFAULT 'badge',
        description text,
        ip_access text,
        enforce_tfa boolean NOT NULL DEFAULT false,
        admin_access boolean NOT NULL DEFAULT false,
        app_access boolean NOT NULL DEFAULT false
    )
"""
INSERT_POLICIES = """
    INSERT INTO directus_policies (id, name, icon, description, ip_access, enforce_tfa, admin_access, app_access)
    SELECT id, name, icon,
        CASE WHEN description LIKE '$t:admin_description' THEN '$t:admin_policy_description' ELSE description END,
        ip_access, enforce_tfa, admin_access, app_access
    FROM directus_roles
"""
INSERT_PUBLIC_POLICY = (
    "INSERT INTO directus_policies (id, name, icon, description) VALUES (:id, :name, :icon, :description)"
)
CREATE_ACCESS = """
    CREATE TABLE directus_access (
        id uuid CONSTRAINT directus_access_pkey PRIMARY KEY,
        role uuid CONSTRAINT directus_access_role_foreign REFERENCES directus_roles ON DELETE CASCADE,
        "user" uuid CONSTRAINT directus_access_user_foreign REFERENCES directus_users ON DELETE CASCADE,
        policy uuid NOT NULL CONSTRAINT directus_access_policy_foreign REFERENCES directus_policies ON DELETE CASCADE,
        sort integer
    )
"""
INSERT_ACCESS = """
    INSERT INTO directus_access (id, role, policy, sort)
    SELECT gen_random_uuid(), id, id, 1 FROM directus_roles
    UNION ALL SELECT gen_random_uuid(), NULL, CAST(:public AS uuid), 1
"""
MOVE_PERMISSIONS = """
    WITH portion AS (SELECT id FROM directus_permissions WHERE id > :last ORDER BY id LIMIT :portion),
    moved AS (
        UPDATE directus_permissions p SET policy = coalesce(p.role, :public)
        FROM portion WHERE p.id = portion.id RETURNING p.id
    )
    SELECT max(id), count(*) FROM moved
"""
REPLACE_ROLE_BY_POLICY = """
    ALTER TABLE directus_permissions
    ALTER COLUMN policy SET NOT NULL,
    ADD CONSTRAINT directus_permissions_policy_foreign FOREIGN KEY (policy) REFERENCES directus_policies
        ON DELETE CASCADE,
    DROP COLUMN role
"""
ALTER_ROLES = f"""
    ALTER TABLE directus_roles {", ".join(f"DROP COLUMN {flag}" for flag in ROLE_FLAGS)},
    ADD COLUMN parent uuid CONSTRAINT directus_roles_parent_foreign REFERENCES directus_roles
"""
RECORD_MIGRATION = "INSERT INTO directus_migrations (version, name) VALUES (:version, :name)"
PERMISSION_RANGE = "SELECT min(id) - 1, count(*) FROM directus_permissions"
PERMISSIONS_WITHOUT_ROLE = """
    SELECT id FROM directus_permissions p
    WHERE role IS NOT NULL AND NOT EXISTS (SELECT FROM directus_roles r WHERE r.id = p.role) ORDER BY id LIMIT 5
"""
ROLE_WITH_PUBLIC_ID = "SELECT name FROM directus_roles WHERE id = :public"


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """The numbers of upgraded roles and permissions, and the columns (`table.column`) that Rollcall still lacks."""

    roles: int
    permissions: int
    missing_columns: tuple[str, ...]


async def upgrade(database: Database, progress: Progress) -> UpgradeResult | None:
    """Do what Directus' migration 20240806A does; return None if that has been done already.

    Runs in one transaction, which waits a limited time for other sessions that use the tables.

    Raises:
        OperatorError: The database is not of Directus 10, is locked by other sessions, or may not be changed by this
            user. Nothing was changed.
    """
    with translate_db_errors():
        return await database.run_in_transaction(lambda connection: upgrade_in_transaction(connection, progress))


async def upgrade_in_transaction(connection: AsyncConnection, progress: Progress) -> UpgradeResult | None:
    """Do the same within the caller's transaction. Database errors are not translated."""
    await acquire_migration_lock(connection)
    if await detect_edition(connection) is Edition.ELEVEN:
        return None
    await acquire_locks(
        connection,
        exclusive=("directus_roles", "directus_permissions"),
        readable=("directus_users", "directus_migrations"),
    )
    if await detect_edition(connection) is Edition.ELEVEN:  # upgraded by Directus before the locks were acquired
        return None
    await _check_rows(connection)
    return await _run_steps(connection, progress)


async def _check_rows(connection: AsyncConnection) -> None:
    """Raise OperatorError for rows that the new tables can't hold."""
    ids = (await connection.execute(text(PERMISSIONS_WITHOUT_ROLE))).scalars().all()
    if ids:
        listed = ", ".join(map(str, ids))
        raise OperatorError(
            f"directus_permissions has rows whose role does not exist, such as {listed}. Delete them first."
        )
    if await connection.scalar(text(ROLE_WITH_PUBLIC_ID), {"public": PUBLIC_POLICY["id"]}):
        raise OperatorError(
            f"A role has the id that the public policy needs, {PUBLIC_POLICY['id']}. Change the role's id first."
        )


async def _run_steps(connection: AsyncConnection, progress: Progress) -> UpgradeResult:
    progress("policies", 0, 1)
    await _execute(connection, CREATE_POLICIES)
    roles = (await _execute(connection, INSERT_POLICIES)).rowcount
    await _execute(connection, INSERT_PUBLIC_POLICY, **PUBLIC_POLICY)
    progress("policies", 1, 1)
    progress("access", 0, 1)
    await _execute(connection, CREATE_ACCESS)
    await _execute(connection, INSERT_ACCESS, public=PUBLIC_POLICY["id"])
    progress("access", 1, 1)
    permissions = await _move_permissions(connection, progress)
    progress("roles", 0, 1)
    await _execute(connection, ALTER_ROLES)
    await _execute(connection, RECORD_MIGRATION, version=POLICIES_MIGRATION, name=POLICIES_MIGRATION_NAME)
    progress("roles", 1, 1)
    return UpgradeResult(roles, permissions, tuple(await connection.run_sync(missing_columns)))


async def _move_permissions(connection: AsyncConnection, progress: Progress) -> int:
    """Set the policy of every permission, and drop its role; return the number of permissions."""
    last, count = (await _execute(connection, PERMISSION_RANGE)).one()
    done = 0
    await _execute(connection, "ALTER TABLE directus_permissions ADD COLUMN policy uuid")
    while done < count:
        progress("permissions", done, count)
        parameters = {"last": last, "portion": BATCH_SIZE, "public": PUBLIC_POLICY["id"]}
        last, moved = (await _execute(connection, MOVE_PERMISSIONS, **parameters)).one()
        done += moved
    await _execute(connection, REPLACE_ROLE_BY_POLICY)
    progress("permissions", count, count)
    return int(count)


async def _execute(connection: AsyncConnection, statement: str, **values: Any) -> Any:
    return await connection.execute(text(statement), values)
