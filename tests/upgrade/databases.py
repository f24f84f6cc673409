"""Copies of databases that a real Directus left, and what was recorded of them."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from app.testing import open_system
from tests.conftest import RECORDINGS, admin_url, create_database, make_settings, run_on_server

MIGRATION_RECORDINGS = RECORDINGS / "migration"
STEPS = [pytest.param(9, id="every ninth"), pytest.param(1, id="every one", marks=pytest.mark.nightly)]
"""The distance between the statements at which processes are killed."""
INTERRUPTED_REVERT = (
    """
    ALTER TABLE directus_roles ADD ip_access text, ADD enforce_tfa boolean NOT NULL DEFAULT false,
    ADD admin_access boolean NOT NULL DEFAULT false, ADD app_access boolean NOT NULL DEFAULT true
    """,
    """
    ALTER TABLE directus_permissions ADD role uuid
    CONSTRAINT directus_permissions_role_foreign REFERENCES directus_roles
    """,
)
"""What Directus 11.17.4's own revert has done when it fails."""
DELETE_MERGE_ROWS = (
    "DELETE FROM directus_roles WHERE id = '00000d01-1010-4010-8010-000000000d01'",
    "DELETE FROM directus_policies WHERE id = '00000d01-2222-4222-8222-000000000d01'",
)
"""Deletes what was added to the upgraded database to record how permissions are merged."""
DELETE_DUPLICATES = "DELETE FROM directus_permissions WHERE id IN (39, 41, 43)"
"""Deletes the second row of each role with two permissions for one action."""
DELETE_NEWER_MIGRATIONS = "DELETE FROM directus_migrations WHERE version > '20240806A'"
"""Replaces Directus' own revert of newer migrations, which changes nothing that Rollcall reverts."""


def no_progress(*_):
    pass


@asynccontextmanager
async def restored_database(dump_file, *changes):
    """Yield the name of a new database restored from a dump and changed by statements; drop it at the end."""
    async with _created_database("template0") as name:
        options = ("-q", "-1", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", MIGRATION_RECORDINGS / dump_file)
        process = await asyncio.create_subprocess_exec("psql", *options, admin_url(name))
        assert await process.wait() == 0
        await run_statements(admin_url(name), *changes)
        yield name


@asynccontextmanager
async def copied_database(template, *changes):
    """Yield the name of a copy of a database, changed by statements; drop it at the end."""
    async with _created_database(template) as name:
        await run_statements(admin_url(name), *changes)
        yield name


@asynccontextmanager
async def opened_copy(template, *changes):
    """Yield such a copy as a system."""
    async with copied_database(template, *changes) as name, open_system(make_settings(admin_url(name))) as system:
        yield system


@asynccontextmanager
async def _created_database(template):
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await create_database(name, template)
    try:
        yield name
    finally:
        await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


def database_url(system):
    return system.settings.database_url


async def run_statements(url, *statements):
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def opened_by_guest(system, privilege):
    """Yield the same database as a system whose user has only this privilege on the tables."""
    url = database_url(system)
    name, parts = f"rollcall_test_{uuid4().hex[:12]}", urlsplit(url)
    grant = f"GRANT {privilege} ON ALL TABLES IN SCHEMA public TO {name}"
    await run_statements(url, f"CREATE ROLE {name} LOGIN", grant)
    try:
        guest_url = parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}").geturl()
        async with open_system(make_settings(guest_url)) as guest:
            yield guest
    finally:
        await run_statements(url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@asynccontextmanager
async def rolled_back(system, *changes):
    """Yield another process' connection after some statements, and roll its transaction back at the end."""
    async with open_system(system.settings) as other, other.database.transaction() as connection:
        for change in changes:
            await connection.exec_driver_sql(change)
        yield connection
        await connection.rollback()


def dump(url):
    process = subprocess.run(["pg_dump", url], capture_output=True, text=True, check=True)
    # pg_dump writes a new random key around every dump.
    lines = process.stdout.splitlines()
    return "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))


def recorded_rows(database, table):
    return json.loads((MIGRATION_RECORDINGS / database / f"{table}.json").read_text())


def recorded_layout(database, kind):
    lines = (MIGRATION_RECORDINGS / database / f"{kind}.tsv").read_text().splitlines()
    return [tuple(line.split("\t")) for line in lines]


async def snapshots_of_killed_processes(operation, url, step):
    """Return a database's snapshot after each killed process, and the one after the process that finished."""
    command = (sys.executable, "-m", "tests.upgrade.killed_upgrade", operation, url, str(step))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    *killed, (status, after) = map(json.loads, out.splitlines())
    assert {status for status, _ in killed} == {-signal.SIGKILL}
    assert status == 0
    return [snapshot for _, snapshot in killed], after
