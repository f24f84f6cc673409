"""A directory whose events are recorded, without HTTP and with it."""

import pytest
import pytest_asyncio

from app.testing import open_system
from tests.extensions.recorder import Recorder
from tests.http.test_graphql import served


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def writable_db(restored_db):
    """The database of `restored_db`: no test here changes tables."""
    return restored_db


@pytest_asyncio.fixture
async def hooked(writable_db, recorder):
    """A directory with `BASE_ROWS` whose events are recorded."""
    async with open_system(writable_db.settings, extensions=[recorder.register]) as system:
        yield system


@pytest_asyncio.fixture
async def client(writable_db, recorder):
    """A client of a server whose events are recorded."""
    async with served(writable_db.settings, extensions=[recorder.register]) as client:
        yield client
