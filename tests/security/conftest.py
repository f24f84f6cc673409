"""Fixtures for the tests of known vulnerabilities: users who may write, and users with passwords."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import pytest_asyncio

from app.flows.import_export import import_rows
from app.testing import TestSystem
from tests.conftest import BACKENDS, open_copy
from tests.flows.inviters import INVITER_ROWS, SETTINGS_OVERRIDES, update_settings, update_user
from tests.http.test_graphql import served
from tests.restoration import restore_rows, save_rows
from tests.security.entry_points import ENTRY_POINTS, PASSWORD_HASH, TFA_SECRET
from tests.writes.conftest import editors, editors_db
from tests.writes.editors import EDITOR_ROWS

__all__ = ["editors", "editors_db"]

LOGIN_VALUES: dict[str, dict[str, str | None]] = {
    "ada": {"tfa_secret": None},
    "vi": {"tfa_secret": None},
    "ed": {"tfa_secret": TFA_SECRET},
    "sue": {},
    "ida": {},
    "una": {},
    "wanda": {},
    "sam": {"provider": "github"},
}
"""Ada, Vi and Ed can log in, Ed with a second factor. The others have the same password but may not log in."""


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def members_db(request, templates, tmp_path_factory):
    """A database with editors, inviters, known passwords and open registration, and a copy of every table."""
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("members"))
        for rows in (EDITOR_ROWS, INVITER_ROWS):
            await import_rows(system.database, rows, replace=False)
        for name, values in LOGIN_VALUES.items():
            await update_user(system, name, password=PASSWORD_HASH, **values)
        await update_settings(system, public_registration=True)
        await save_rows(system)
        yield TestSystem(system.database, system.settings.model_copy(update=SETTINGS_OVERRIDES))


@pytest_asyncio.fixture
async def members(members_db, monkeypatch):
    """The database as it was created; password reset requests are not delayed."""
    monkeypatch.setattr("app.flows.password_reset.MIN_REQUEST_DURATION", timedelta(0))
    yield members_db
    await restore_rows(members_db)


@pytest_asyncio.fixture(scope="module")
async def client(members_db):
    """A client of a server that trusts `X-Forwarded-For`. Mails go to the log."""
    async with served(members_db.settings.model_copy(update={"ip_trust_proxy": True})) as client:
        yield client


@pytest.fixture(params=ENTRY_POINTS)
def entry_point(request):
    return request.param
