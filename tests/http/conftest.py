"""The house behind its doors: people in it who can sign in over HTTP."""

import pytest_asyncio
from sqlalchemy import update

from app.db.models import User
from tests.flows.conftest import inviters, inviters_db
from tests.flows.inviters import update_settings
from tests.http.clients import PASSWORD_HASH, SECRET
from tests.http.test_graphql import served
from tests.world import uid

__all__ = ["inviters", "inviters_db"]

KNOWN: dict[str, dict[str, str | None]] = {
    "ada": {"password": PASSWORD_HASH},
    "vi": {"password": PASSWORD_HASH, "tfa_secret": None},
    "ed": {"password": PASSWORD_HASH, "tfa_secret": SECRET},
    "sue": {"password": PASSWORD_HASH},
    "ida": {"password": PASSWORD_HASH},
    "sam": {"password": PASSWORD_HASH, "provider": "github"},
}
"""Ada, Vi and Ed have a password, Ed a second factor too; something keeps the others out all the same."""


@pytest_asyncio.fixture
async def members(inviters):
    async with inviters.database.transaction() as connection:
        for name, values in KNOWN.items():
            await connection.execute(update(User).where(User.id == uid(name)).values(**values))
    await update_settings(inviters, public_registration=True)
    return inviters


@pytest_asyncio.fixture(scope="session")
async def client(inviters_db):
    """A client of the house's; `people` are in it where they are asked for too."""
    async with served(inviters_db.settings) as client:
        yield client
