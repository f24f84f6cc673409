"""Databases with custom fields, and clients of servers on them."""

from contextlib import AsyncExitStack

import pytest_asyncio

from app.flows.import_export import import_rows
from tests.conftest import BACKENDS, open_copy
from tests.custom_fields.database import statements
from tests.http.test_graphql import served
from tests.restoration import restore_rows, save_rows
from tests.writes.conftest import run_sql
from tests.writes.editors import EDITOR_ROWS


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def custom_db(request, templates, tmp_path_factory):
    """A database with `EDITOR_ROWS`, custom fields, and a copy of every table."""
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("custom"))
        await import_rows(system.database, EDITOR_ROWS, replace=False)
        await run_sql(system.settings.database_url, ";".join(statements(request.param)) + ";")
        await save_rows(system)
        yield system


@pytest_asyncio.fixture(scope="module")
async def client(custom_db):
    async with served(custom_db.settings.model_copy(update={"log_level": "error"})) as client:
        yield client


@pytest_asyncio.fixture
async def custom(custom_db):
    """The database with custom fields; it may be changed and is restored after the test."""
    yield custom_db
    await restore_rows(custom_db)
