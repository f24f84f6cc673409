"""Databases as a real Directus left them: one of 10.13, and what its own migrations made of it."""

import asyncio
import json
import subprocess
from contextlib import asynccontextmanager
from types import SimpleNamespace
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from app.testing import open_system
from app.upgrade.up import upgrade
from tests.conftest import POSTGRESQL, SHARED, admin_url, create_database, make_settings, run_on_server

RECORDED = SHARED / "migration"


@pytest.fixture(scope="session")
def recordings():
    """Skips, saying so, where there is nothing to upgrade, or nothing to upgrade it on."""
    if not POSTGRESQL:
        pytest.skip("upgrades are done on PostgreSQL, and none answers")
    if not RECORDED.exists():
        pytest.skip("the recordings of a real Directus 10 are not beside this checkout")


def dump(url, *options):
    done = subprocess.run(["pg_dump", *options, url], capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def recorded(edition, table):
    return json.loads((RECORDED / edition / f"{table}.json").read_text())


def tsv(edition, name):
    return [line.split("\t") for line in (RECORDED / edition / f"{name}.tsv").read_text().splitlines()]


async def restored(name, file):
    await create_database(name)
    command = ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", str(RECORDED / file), admin_url(name)]
    await asyncio.to_thread(subprocess.run, command, check=True)


@pytest_asyncio.fixture(scope="session")
async def ten_template(recordings):
    name = f"rollcall_test_ten_{uuid4().hex[:12]}"
    await restored(name, "v10.sql")
    yield name
    await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def copied(template):
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await create_database(name, template)
    yield admin_url(name)
    await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def ten(ten_template):
    """A database as Directus 10 left it, to change."""
    async with copied(ten_template) as url, open_system(make_settings(url)) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def still_ten(ten_template):
    """The same for all tests that change nothing, or only within a transaction that they take back."""
    async with copied(ten_template) as url, open_system(make_settings(url)) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def upgraded(ten_template):
    """The same after an upgrade, to look at, with what that `told` and returned, and the dump from `before`."""
    async with copied(ten_template) as url, open_system(make_settings(url)) as system:
        before, told = dump(url), []
        done = await upgrade(system.database, lambda *step: told.append(step))
        connection = await asyncpg.connect(url)
        yield SimpleNamespace(url=url, system=system, before=before, told=told, done=done, connection=connection)
        await connection.close()


@pytest_asyncio.fixture(scope="session")
async def eleven_url(recordings):
    """The address of what Directus 11's own migrations made of it; tests adopt it, and only look otherwise."""
    name = f"rollcall_test_eleven_{uuid4().hex[:12]}"
    await restored(name, "v11_migrated.sql")
    yield admin_url(name)
    await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")
