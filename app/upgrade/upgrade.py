"""The way up: Directus 10's roles become Directus 11's roles and policies, in one transaction."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.database import Database
from app.db.migrate import acquire_migration_lock
from app.db.seeds import PUBLIC_POLICY
from app.db.table_check import missing_columns
from app.flows.import_export import Progress
from app.upgrade.db_errors import translate_db_errors
from app.upgrade.edition import Edition, detect_edition
from app.upgrade.inspection import FLAGS, STEP, STEP_NAME
from app.upgrade.locks import take_locks

PORTION = 50_000
"""Permissions that are moved by one statement, so that it can be told how many are done."""

POLICIES = """
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
POLICY_OF_EACH = """
    INSERT INTO directus_policies (id, name, icon, description, ip_access, enforce_tfa, admin_access, app_access)
    SELECT id, name, icon,
        CASE WHEN description LIKE '$t:admin_description' THEN '$t:admin_policy_description' ELSE description END,
        ip_access, enforce_tfa, admin_access, app_access
    FROM directus_roles
"""
PUBLIC = "INSERT INTO directus_policies (id, name, icon, description) VALUES (:id, :name, :icon, :description)"
ACCESS = """
    CREATE TABLE directus_access (
        id uuid CONSTRAINT directus_access_pkey PRIMARY KEY,
        role uuid CONSTRAINT directus_access_role_foreign REFERENCES directus_roles ON DELETE CASCADE,
        "user" uuid CONSTRAINT directus_access_user_foreign REFERENCES directus_users ON DELETE CASCADE,
        policy uuid NOT NULL CONSTRAINT directus_access_policy_foreign REFERENCES directus_policies ON DELETE CASCADE,
        sort integer
    )
"""
ACCESS_OF_EACH = """
    INSERT INTO directus_access (id, role, policy, sort)
    SELECT gen_random_uuid(), id, id, 1 FROM directus_roles
    UNION ALL SELECT gen_random_uuid(), NULL, CAST(:public AS uuid), 1
"""
MOVE = """
    WITH portion AS (SELECT id FROM directus_permissions WHERE id > :last ORDER BY id LIMIT :portion),
    moved AS (
        UPDATE directus_permissions p SET policy = coalesce(p.role, :public)
        FROM portion WHERE p.id = portion.id RETURNING p.id
    )
    SELECT max(id), count(*) FROM moved
"""
POLICY_IN_PLACE_OF_ROLE = """
    ALTER TABLE directus_permissions
    ALTER COLUMN policy SET NOT NULL,
    ADD CONSTRAINT directus_permissions_policy_foreign FOREIGN KEY (policy) REFERENCES directus_policies
        ON DELETE CASCADE,
    DROP COLUMN role
"""
ROLES = f"""
    ALTER TABLE directus_roles {", ".join(f"DROP COLUMN {flag}" for flag in FLAGS)},
    ADD COLUMN parent uuid CONSTRAINT directus_roles_parent_foreign REFERENCES directus_roles
"""
RECORD = "INSERT INTO directus_migrations (version, name) VALUES (:version, :name)"
LOWEST = "SELECT min(id) - 1, count(*) FROM directus_permissions"
STRAY = """
    SELECT id FROM directus_permissions p
    WHERE role IS NOT NULL AND NOT EXISTS (SELECT FROM directus_roles r WHERE r.id = p.role) ORDER BY id LIMIT 5
"""
NAMESAKE = "SELECT name FROM directus_roles WHERE id = :public"


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did, in rows, and which columns Rollcall still finds missing (`table.column`)."""

    roles: int
    permissions: int
    lacking: tuple[str, ...]


async def upgrade(database: Database, progress: Progress) -> Upgraded | None:
    """Do to a database of Directus 10 what Directus' migration 20240806A does; None where that is done already.

    One transaction, which waits for whoever else uses the tables, but not for long. Raises Refusal, with nothing
    changed, for what is no such database, where others hold it up, or where it may not be changed.
    """
    with translate_db_errors():
        return await database.run_in_transaction(lambda connection: upgrade_within(connection, progress))


async def upgrade_within(connection: AsyncConnection, progress: Progress) -> Upgraded | None:
    """As `upgrade`, inside a transaction of the caller's; what the database doesn't allow is raised as it is."""
    await acquire_migration_lock(connection)
    if await detect_edition(connection) is Edition.ELEVEN:
        return None
    await take_locks(
        connection,
        alone=("directus_roles", "directus_permissions"),
        readable=("directus_users", "directus_migrations"),
    )
    if await detect_edition(connection) is Edition.ELEVEN:  # by a Directus, before the locks were ours
        return None
    await _check(connection)
    return await _steps(connection, progress)


async def _check(connection: AsyncConnection) -> None:
    """Raise Refusal for rows that have no place in the new tables."""
    stray = (await connection.execute(text(STRAY))).scalars().all()
    if stray:
        listed = ", ".join(map(str, stray))
        raise OperatorError(
            f"directus_permissions has rows whose role isn't there, such as {listed}: delete them first."
        )
    if await connection.scalar(text(NAMESAKE), {"public": PUBLIC_POLICY["id"]}):
        raise OperatorError(
            f"A role has the id that the public policy has to get, {PUBLIC_POLICY['id']}: give it another."
        )


async def _steps(connection: AsyncConnection, progress: Progress) -> Upgraded:
    progress("policies", 0, 1)
    await _run(connection, POLICIES)
    roles = (await _run(connection, POLICY_OF_EACH)).rowcount
    await _run(connection, PUBLIC, **PUBLIC_POLICY)
    progress("policies", 1, 1)
    progress("access", 0, 1)
    await _run(connection, ACCESS)
    await _run(connection, ACCESS_OF_EACH, public=PUBLIC_POLICY["id"])
    progress("access", 1, 1)
    permissions = await _move(connection, progress)
    progress("roles", 0, 1)
    await _run(connection, ROLES)
    await _run(connection, RECORD, version=STEP, name=STEP_NAME)
    progress("roles", 1, 1)
    return Upgraded(roles, permissions, tuple(await connection.run_sync(missing_columns)))


async def _move(connection: AsyncConnection, progress: Progress) -> int:
    """Give every permission the policy that is in its role's place; returns how many there are."""
    last, count = (await _run(connection, LOWEST)).one()
    done = 0
    await _run(connection, "ALTER TABLE directus_permissions ADD COLUMN policy uuid")
    while done < count:
        progress("permissions", done, count)
        moved = await _run(connection, MOVE, last=last, portion=PORTION, public=PUBLIC_POLICY["id"])
        last, portion = moved.one()
        done += portion
    await _run(connection, POLICY_IN_PLACE_OF_ROLE)
    progress("permissions", count, count)
    return int(count)


async def _run(connection: AsyncConnection, statement: str, **values: Any) -> Any:
    return await connection.execute(text(statement), values)
