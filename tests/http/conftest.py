"""Users who can log in over HTTP, and a client of the server."""

import pytest_asyncio
from sqlalchemy import insert, update

from app.db.models import Settings, User
from tests.base_data import uid
from tests.flows.conftest import inviters, inviters_db
from tests.http.clients import PASSWORD_HASH, SECRET
from tests.http.test_graphql import served

__all__ = ["inviters", "inviters_db"]

CREDENTIALS: dict[str, dict[str, str | None]] = {
    "ada": {"password": PASSWORD_HASH},
    "vi": {"password": PASSWORD_HASH, "tfa_secret": None},
    "ed": {"password": PASSWORD_HASH, "tfa_secret": SECRET},
    "sue": {"password": PASSWORD_HASH},
    "ida": {"password": PASSWORD_HASH},
    "sam": {"password": PASSWORD_HASH, "provider": "github"},
}
"""Ada, Vi and Ed can log in, Ed with two-factor authentication; the others can't in spite of their password."""


@pytest_asyncio.fixture
async def members(inviters):
    """The `inviters` with the `CREDENTIALS`, and with public registration."""
    async with inviters.database.transaction() as connection:
        for name, values in CREDENTIALS.items():
            await connection.execute(update(User).where(User.id == uid(name)).values(**values))
        await connection.execute(insert(Settings).values(public_registration=True))
    return inviters


@pytest_asyncio.fixture(scope="session")
async def client(inviters_db):
    """A client of the server; tests that need the `members` use that fixture too."""
    async with served(inviters_db.settings) as client:
        yield client
