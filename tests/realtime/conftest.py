"""A server with WebSockets on a real socket, once per module and database, its events, and clients from npm."""

import asyncpg
import pytest
import pytest_asyncio

from app.repositories.services import Services
from app.repositories.stores.events import EventStore
from tests.realtime import npm
from tests.realtime.sockets import serving


@pytest_asyncio.fixture(scope="module")
async def server(shared_db):
    async with serving(shared_db.settings) as server:
        yield server


@pytest.fixture
def store(restored_db):
    return EventStore(Services.from_settings(restored_db.database, restored_db.settings))


@pytest.fixture
async def capturing(store):
    await store.renew_capture()
    return store


@pytest.fixture
async def connection(restored_db):
    if restored_db.database.dialect != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    connection = await asyncpg.connect(restored_db.settings.database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="session")
async def node_modules(tmp_path_factory):
    """A folder with the clients; tests are skipped if they can't be installed."""
    folder = tmp_path_factory.mktemp("clients")
    await npm.install(folder)
    return folder
