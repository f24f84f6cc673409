"""The people who may write, for the holes that writing would open; and the house, for those of accounts."""

import pytest
import pytest_asyncio

from tests.flows.conftest import house, kept_house
from tests.flows.house import give, set_up
from tests.http.test_graphql import served
from tests.security.doors import DOORS, HASHED, SECRET
from tests.writes.conftest import desk, kept_desk

__all__ = ["desk", "house", "kept_desk", "kept_house"]

KNOWN: dict[str, dict[str, str | None]] = {
    "ada": {"tfa_secret": None},
    "vi": {"tfa_secret": None},
    "ed": {"tfa_secret": SECRET},
    "sue": {},
    "ida": {},
    "una": {},
    "wanda": {},
    "sam": {"provider": "github"},
}
"""Ada, Vi and Ed can sign in, Ed with a second factor; the others have the same password, and may not."""


@pytest_asyncio.fixture
async def people(house):
    """The house with doors for strangers, and with people in it whose password is known."""
    for name, values in KNOWN.items():
        await give(house, name, password=HASHED, **values)
    await set_up(house, public_registration=True)
    return house


@pytest_asyncio.fixture(scope="module")
async def client(kept_house):
    """A client of the house's, who comes from wherever he says; its mails are lines of the log."""
    async with served(kept_house.settings.model_copy(update={"ip_trust_proxy": True})) as client:
        yield client


@pytest.fixture(params=DOORS)
def door(request):
    return request.param
