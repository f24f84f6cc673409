"""A client of the Studio on both databases; the database is restored after each test."""

import pytest
import pytest_asyncio

from tests.flows.conftest import inviters, inviters_db
from tests.http.conftest import client, members
from tests.studio.pages import StudioClient

__all__ = ["client", "inviters", "inviters_db", "members"]


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
