"""The desk with doors: whoever may invite, and a project that lets strangers in; put back as it was after each test."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest_asyncio

from app.db.database import Database
from app.flows.import_export import import_rows
from app.testing import TestSystem
from tests.conftest import BACKENDS, open_copy
from tests.flows.inviters import INVITER_ROWS, SETTINGS_OVERRIDES
from tests.writes.conftest import RESTORE_ROWS_SQL, SAVE_ROWS_SQL, run_sql
from tests.writes.editors import EDITOR_ROWS


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def inviters_db(request, templates, tmp_path_factory):
    """The house's database, with a copy of every row in it."""
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("house"))
        for rows in (EDITOR_ROWS, INVITER_ROWS):
            await import_rows(system.database, rows, replace=False)
        await run_sql(system.settings.database_url, SAVE_ROWS_SQL)
        yield TestSystem(system.database, system.settings.model_copy(update=SETTINGS_OVERRIDES))


@pytest_asyncio.fixture
async def inviters(inviters_db, monkeypatch):
    """The house as it was in the beginning, to change at will; nobody waits in it."""
    monkeypatch.setattr("app.flows.password_reset.MIN_REQUEST_DURATION", timedelta(0))
    yield inviters_db
    await run_sql(inviters_db.settings.database_url, RESTORE_ROWS_SQL)


@pytest_asyncio.fixture
async def other(inviters):
    """The same house from a second process' point of view."""
    database = Database.open(inviters.settings)
    yield TestSystem(database, inviters.settings)
    await database.dispose()
