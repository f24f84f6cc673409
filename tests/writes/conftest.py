"""The named world with people in it who may write."""

import pytest_asyncio

from app.flows.transfer import import_rows
from tests.writes.desk import DESK


@pytest_asyncio.fixture
async def desk(fresh):
    """A copy of the named world of one's own, with the people of the desk."""
    await import_rows(fresh.database, DESK, replace=False)
    return fresh
