"""The people who may write, for the holes that writing would open; and the house, for those of accounts."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import pytest_asyncio

from app.flows.import_export import import_rows
from app.testing import TestSystem
from tests.conftest import BACKENDS, copied
from tests.flows.inviters import INVITER_ROWS, SETTINGS_OVERRIDES, update_settings, update_user
from tests.http.test_graphql import served
from tests.security.entry_points import DOORS, HASHED, SECRET
from tests.writes.conftest import KEEP, RESTORE, editors, editors_db, run
from tests.writes.editors import DESK

__all__ = ["editors", "editors_db"]

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


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def members_db(request, templates, tmp_path_factory):
    """The house with doors for strangers, and with people in it whose password is known; and a copy of every row."""
    async with AsyncExitStack() as stack:
        system = await copied(stack, request.param, templates, tmp_path_factory.mktemp("people"))
        for rows in (DESK, INVITER_ROWS):
            await import_rows(system.database, rows, replace=False)
        for name, values in KNOWN.items():
            await update_user(system, name, password=HASHED, **values)
        await update_settings(system, public_registration=True)
        await run(system.settings.database_url, KEEP)
        yield TestSystem(system.database, system.settings.model_copy(update=SETTINGS_OVERRIDES))


@pytest_asyncio.fixture
async def members(members_db, monkeypatch):
    """These people as they were in the beginning; nobody waits."""
    monkeypatch.setattr("app.flows.password_reset.MIN_REQUEST_DURATION", timedelta(0))
    yield members_db
    await run(members_db.settings.database_url, RESTORE)


@pytest_asyncio.fixture(scope="module")
async def client(members_db):
    """A client of theirs, who comes from wherever he says; its mails are lines of the log."""
    async with served(members_db.settings.model_copy(update={"ip_trust_proxy": True})) as client:
        yield client


@pytest.fixture(params=DOORS)
def entry_point(request):
    return request.param
