"""Databases as a real Directus left them, and what is recorded of them."""

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

RECORDED = RECORDINGS / "migration"
STEPS = [pytest.param(9, id="every ninth"), pytest.param(1, id="every one", marks=pytest.mark.nightly)]
"""How far apart the statements are at which processes are killed."""
HALFWAY = (
    """
    ALTER TABLE directus_roles ADD ip_access text, ADD enforce_tfa boolean NOT NULL DEFAULT false,
    ADD admin_access boolean NOT NULL DEFAULT false, ADD app_access boolean NOT NULL DEFAULT true
    """,
    """
    ALTER TABLE directus_permissions ADD role uuid
    CONSTRAINT directus_permissions_role_foreign REFERENCES directus_roles
    """,
)
"""What Directus 11.17.4's way back has done where it breaks off."""
NOT_MIGRATED = (
    "DELETE FROM directus_roles WHERE id = '00000d01-1010-4010-8010-000000000d01'",
    "DELETE FROM directus_policies WHERE id = '00000d01-2222-4222-8222-000000000d01'",
)
"""What was put into the upgraded world to record how permissions are merged."""
DOUBLES = "DELETE FROM directus_permissions WHERE id IN (39, 41, 43)"
"""The second rows of a role with two permissions for one thing."""
NEWER = "DELETE FROM directus_migrations WHERE version > '20240806A'"
"""Stands for Directus' own undoing of newer migrations, which doesn't touch what is gone back with here."""


def quiet(*_):
    pass


@asynccontextmanager
async def restored(dump, *changes):
    """The name of a new database with what a dump holds, and some statements run on it; gone at the end."""
    async with _created("template0") as name:
        command = (
            "psql",
            "-q",
            "-1",
            "-v",
            "ON_ERROR_STOP=1",
            "-o",
            "/dev/null",
            "-f",
            RECORDED / dump,
            admin_url(name),
        )
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0
        await run(admin_url(name), *changes)
        yield name


@asynccontextmanager
async def copied(template, *changes):
    """The name of a copy of a database, with some statements run on it; gone at the end."""
    async with _created(template) as name:
        await run(admin_url(name), *changes)
        yield name


@asynccontextmanager
async def opened(template, *changes):
    """Such a copy as a system."""
    async with copied(template, *changes) as name, open_system(make_settings(admin_url(name))) as system:
        yield system


@asynccontextmanager
async def _created(template):
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await create_database(name, template)
    try:
        yield name
    finally:
        await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


def address(system):
    return system.settings.database_url


async def run(url, *statements):
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def as_guest(system, granted):
    """The same database for a user of its own, who was `granted` something on its tables."""
    name, url = f"rollcall_test_{uuid4().hex[:12]}", urlsplit(address(system))
    await run(address(system), f"CREATE ROLE {name} LOGIN", f"GRANT {granted} ON ALL TABLES IN SCHEMA public TO {name}")
    try:
        guest = url._replace(netloc=f"{name}@{url.netloc.rpartition('@')[2]}").geturl()
        async with open_system(make_settings(guest)) as opened_by_guest:
            yield opened_by_guest
    finally:
        await run(address(system), f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@asynccontextmanager
async def taken_back(system, *changes):
    """A connection with some statements run on it, whose transaction is rolled back at the end."""
    async with system.database.transaction() as connection:
        for change in changes:
            await connection.exec_driver_sql(change)
        yield connection
        await connection.rollback()


def dump(url):
    done = subprocess.run(["pg_dump", url], capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def recorded(system, table):
    return json.loads((RECORDED / system / f"{table}.json").read_text())


def recorded_layout(system, kind):
    return [tuple(line.split("\t")) for line in (RECORDED / system / f"{kind}.tsv").read_text().splitlines()]


async def killed_all_the_way(what, url, step):
    """What there is in a database after each process that was killed, and after the one that came to its end."""
    command = (sys.executable, "-m", "tests.upgrade.killed_upgrade", what, url, str(step))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    *killed, (ended, after) = map(json.loads, out.splitlines())
    assert {how for how, _ in killed} == {-signal.SIGKILL}
    assert ended == 0
    return [there for _, there in killed], after
