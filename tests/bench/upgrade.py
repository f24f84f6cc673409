"""Measures the time and memory of upgrading a large Directus 10 database: `python -m tests.bench.upgrade`.

On PostgreSQL, by default with 10,000 roles and 1,000,000 permissions; the commands run as processes.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import asyncpg

from app.upgrade.edition import EXPECTED_COLUMNS, LAST_MIGRATION_OF_10
from tests.compat.replay import ROLLCALL
from tests.conftest import admin_url, create_database, run_on_server

ROOT = Path(__file__).parents[2]
OTHER_TABLES_SQL = f"""
    ALTER TABLE directus_roles ADD PRIMARY KEY (id);
    ALTER TABLE directus_permissions ADD PRIMARY KEY (id),
        ADD FOREIGN KEY (role) REFERENCES directus_roles ON DELETE CASCADE;
    ALTER TABLE directus_users ADD PRIMARY KEY (id), ADD role uuid REFERENCES directus_roles,
        ADD status varchar(16) NOT NULL, ADD tfa_secret varchar(255);
    CREATE TABLE directus_migrations (version varchar(255) PRIMARY KEY, name varchar(255) NOT NULL,
        timestamp timestamptz DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE directus_relations (many_collection varchar(64), many_field varchar(64),
        one_collection varchar(64), one_field varchar(64));
    INSERT INTO directus_migrations VALUES ('{LAST_MIGRATION_OF_10}', 'Update Files Date Fields');
"""
INSERT_ROLES_SQL = """
    INSERT INTO directus_roles (id, name, icon, description, ip_access, enforce_tfa, admin_access, app_access)
    SELECT gen_random_uuid(), 'Role ' || n, 'badge', NULL, CASE WHEN n % 50 = 0 THEN '10.0.0.0/8' END,
        n % 20 = 0, n % 500 = 0, n % 2 = 0
    FROM generate_series(1, $1::int) n
"""
INSERT_PERMISSIONS_SQL = """
    INSERT INTO directus_permissions (id, role, collection, action, permissions, fields)
    SELECT row_number() OVER (), r.id,
        CASE WHEN n < 8 THEN (ARRAY['directus_users', 'directus_roles', 'directus_files', 'pages'])[1 + n / 2]
            ELSE 'collection_' || n / 4 END,
        (ARRAY['read', 'update', 'create', 'delete'])[1 + (n + CASE WHEN n % 25 = 0 THEN 1 ELSE 0 END) % 4],
        CASE WHEN n = 4 THEN '{"role": {"app_access": {"_eq": true}}}'
            ELSE format('{"id": {"_neq": "%s"}}', r.id) END::json,
        CASE WHEN n % 4 = 3 THEN NULL ELSE 'id,email,name' END
    FROM directus_roles r CROSS JOIN generate_series(0, $1::int - 1) n
"""
INSERT_USERS_SQL = """
    INSERT INTO directus_users (id, role, status)
    SELECT gen_random_uuid(), r.id, 'active' FROM directus_roles r CROSS JOIN generate_series(1, 5)
"""


async def build(url: str, roles: int, permissions_per_role: int) -> None:
    """Create a Directus 10 database with this many roles, and permissions per role."""
    connection = await asyncpg.connect(url)
    for table, columns in EXPECTED_COLUMNS.items():
        column_list = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
        await connection.execute(f"CREATE TABLE {table} ({column_list})")
    await connection.execute(OTHER_TABLES_SQL)
    await connection.execute(INSERT_ROLES_SQL, roles)
    await connection.execute(INSERT_PERMISSIONS_SQL, permissions_per_role)
    await connection.execute(INSERT_USERS_SQL)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def run(url: str, *arguments: str) -> tuple[float, float, str]:
    """Run a command; return its duration in seconds, its peak memory in MB, and its output."""
    env = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    process = subprocess.Popen([*ROLLCALL, *arguments], env=env, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"rollcall {' '.join(arguments)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024, output


def main() -> None:
    """Build the database, preview the upgrade, and upgrade."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--roles", type=int, default=10_000)
    parser.add_argument("--each", type=int, default=100, help="permissions of each role")
    options = parser.parse_args()
    name = f"rollcall_bench_{uuid4().hex[:8]}"
    asyncio.run(create_database(name))
    url = admin_url(name)
    try:
        started = time.perf_counter()
        asyncio.run(build(url, options.roles, options.each))
        print(
            f"built {options.roles} roles, {options.roles * options.each} permissions: "
            f"{time.perf_counter() - started:.1f} s"
        )
        for arguments in (("--help",), ("upgrade", "--dry-run"), ("upgrade",)):
            seconds, memory, output = run(url, *arguments)
            print(f"rollcall {' '.join(arguments)}: {seconds:.1f} s, {memory:.0f} MB, {len(output.splitlines())} lines")
    finally:
        asyncio.run(run_on_server(f"DROP DATABASE {name} WITH (FORCE)"))


if __name__ == "__main__":
    main()
