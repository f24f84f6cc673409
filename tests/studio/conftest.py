"""A client of the Studio on both databases; the database is restored after each test."""

import os
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from jinja2 import FileSystemBytecodeCache

from app.studio.templating import Templates
from tests.flows.clock import FrozenClock
from tests.flows.conftest import inviters, inviters_db
from tests.http.conftest import client, members
from tests.http.test_graphql import served
from tests.studio.pages import StudioClient
from tests.studio.visitors import Visitor

__all__ = ["client", "inviters", "inviters_db", "members"]


@pytest.fixture(scope="session", autouse=True)
def compiled_templates(tmp_path_factory):
    """Compile each template once in each language, whatever the number of servers and test processes."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "compiled_templates"
    create_environment = Templates._create_environment

    def create_with_cache(self, language):
        environment = create_environment(self, language)
        (folder / language).mkdir(parents=True, exist_ok=True)
        environment.bytecode_cache = FileSystemBytecodeCache(str(folder / language))
        return environment

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Templates, "_create_environment", create_with_cache)
        yield


@pytest.fixture
def studio(members, client):
    """The Studio, visited by no user."""
    return StudioClient(client, members)


@pytest_asyncio.fixture
async def ada(studio):
    """The Studio, visited by Ada, an administrator."""
    return await studio.sign_in("ada")


@pytest_asyncio.fixture
async def vi(studio):
    """The Studio, visited by Vi, who may read users that have a title."""
    return await studio.sign_in("vi")


@pytest.fixture(scope="session")
def server_clock():
    """The clock of `timed_client`."""
    return FrozenClock()


@pytest_asyncio.fixture(scope="session")
async def timed_client(inviters_db, server_clock):
    """A client of a server with a frozen clock."""
    async with served(inviters_db.settings, server_clock) as client:
        yield client


@pytest.fixture
def clock(server_clock):
    """The clock of the visitor's server; it starts at the current time."""
    server_clock.now = datetime.now(UTC)
    return server_clock


@pytest.fixture
def visitor(members, timed_client, clock):
    """A visitor of a server with a frozen clock."""
    return Visitor(timed_client, members)
