"""Databases with users who may invite (`INVITER_ROWS`) and allow lists for links; restored after each test."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest_asyncio

from app.db.database import Database
from app.flows.import_export import import_rows
from app.testing import TestSystem
from tests.conftest import BACKENDS, open_copy
from tests.flows.inviters import INVITER_ROWS, SETTINGS_OVERRIDES
from tests.restoration import restore_rows, save_rows
from tests.writes.editors import EDITOR_ROWS


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def inviters_db(request, templates, tmp_path_factory):
    """A database with `EDITOR_ROWS` and `INVITER_ROWS`, and a copy of every table."""
    async with AsyncExitStack() as stack:
        folder = tmp_path_factory.mktemp("inviters")
        system = await open_copy(stack, request.param, templates, folder)
        for rows in (EDITOR_ROWS, INVITER_ROWS):
            await import_rows(system.database, rows, replace=False)
        await save_rows(system)
        overrides = {**SETTINGS_OVERRIDES, "storage_local_root": folder / "uploads"}
        yield TestSystem(system.database, system.settings.model_copy(update=overrides))


@pytest_asyncio.fixture
async def inviters(inviters_db, monkeypatch):
    """The database of `inviters_db`, without delays; it may be changed and is restored after the test."""
    monkeypatch.setattr("app.flows.password_reset.MIN_REQUEST_DURATION", timedelta(0))
    yield inviters_db
    await restore_rows(inviters_db)


@pytest_asyncio.fixture
async def other(inviters):
    """A second connection to the same database, as of another process."""
    database = Database.open(inviters.settings)
    yield TestSystem(database, inviters.settings)
    await database.dispose()
