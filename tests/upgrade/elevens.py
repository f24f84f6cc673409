"""Databases of a real Directus 11 to be gone back with, and what is recorded of them."""

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import POSTGRESQL, SHARED, admin_url, create_database, run_on_server

RECORDED = SHARED / "migration"
needs_recordings = pytest.mark.skipif(
    not (POSTGRESQL and RECORDED.exists()),
    reason="a real Directus' databases are PostgreSQL's, and recorded in a folder that has to lie beside this checkout",
)
STEPS = [pytest.param(9, id="every ninth"), pytest.param(1, id="every one", marks=pytest.mark.nightly)]
"""How far apart the statements are at which processes are killed."""


async def restore(dump, *changes):
    """The name of a new database with what a dump holds, and some statements run on it."""
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await create_database(name)
    command = ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", str(RECORDED / dump), admin_url(name)]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0
    await run(admin_url(name), *changes)
    return name


async def copied(template, *changes):
    """The name of a copy of a database, with some statements run on it."""
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await create_database(name, template)
    await run(admin_url(name), *changes)
    return name


@asynccontextmanager
async def copy_of(template, *changes):
    """The address of such a copy, gone at the end."""
    name = await copied(template, *changes)
    try:
        yield admin_url(name)
    finally:
        await drop(name)


async def drop(name):
    await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


async def run(url, *statements):
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def recorded(world, table):
    return json.loads((RECORDED / world / f"{table}.json").read_text())


def recorded_layout(world, kind):
    return [tuple(line.split("\t")) for line in (RECORDED / world / f"{kind}.tsv").read_text().splitlines()]


async def killed_all_the_way(what, url, step):
    """What there is in a database after each process that was killed, and after the one that came to its end."""
    command = (sys.executable, "-m", "tests.upgrade.killed", what, url, str(step))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    *killed, (ended, after) = map(json.loads, out.splitlines())
    assert {how for how, _ in killed} == {-signal.SIGKILL}
    assert ended == 0
    return [there for _, there in killed], after
