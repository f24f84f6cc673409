"""Connections of both pools that died while they were idle are replaced, and no request notices."""

import asyncio

import asyncpg
import pytest

from app.core.caller import SYSTEM
from tests.conftest import BACKENDS, admin_url

pytestmark = pytest.mark.skipif("postgresql" not in BACKENDS, reason="only PostgreSQL closes connections by itself")


async def terminate_connections(url):
    """Terminate every connection to a database, and wait until they are gone."""
    backends = "FROM pg_stat_activity WHERE datname = $1"
    server = await asyncpg.connect(admin_url("postgres"))
    try:
        name = url.rsplit("/", 1)[1]
        await server.fetch(f"SELECT pg_terminate_backend(pid) {backends}", name)
        while await server.fetchval(f"SELECT count(*) {backends}", name):  # noqa: ASYNC110  # PostgreSQL sends no event
            await asyncio.sleep(0.01)
    finally:
        await server.close()


@pytest.fixture(params=["create_one", "delete_one"])
def write(request, writable_db):
    """A concurrent and an exclusive write."""
    roles = writable_db.directory(SYSTEM)["roles"]

    async def run(key):
        return await (roles.create_one({"name": "New"}) if request.param == "create_one" else roles.delete_one(key))

    return run


@pytest.mark.parametrize("writable_db", ["postgresql"], indirect=True)
async def test_a_write_after_the_connections_died_succeeds(writable_db, write):
    roles = writable_db.directory(SYSTEM)["roles"]
    keys = await roles.create_many([{"name": f"Role {number}"} for number in range(3)])
    await write(keys[0])
    await terminate_connections(writable_db.settings.database_url)

    await write(keys[1])
    await write(keys[2])


@pytest.mark.parametrize("writable_db", ["postgresql"], indirect=True)
async def test_a_read_after_the_connections_died_succeeds(writable_db):
    roles = writable_db.directory(SYSTEM)["roles"]
    before = await roles.count()
    await terminate_connections(writable_db.settings.database_url)

    assert await roles.count() == before
