"""The named world with people in it who may write: one database of each kind, put back as it was after each test."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing

import asyncpg
import pytest_asyncio

from app.db.models import DIRECTUS_TABLES
from app.flows.import_export import import_rows
from tests.conftest import BACKENDS, copied
from tests.writes.editors import DESK

NAMES = [table.name for table in DIRECTUS_TABLES]
NUMBERED = ("directus_activity", "directus_permissions", "directus_revisions", "directus_settings")
KEEP = "".join(f"CREATE TABLE pristine_{name} AS SELECT * FROM {name};" for name in NAMES)
OURS = ("rollcall_outbox", "rollcall_attempts", "rollcall_used_codes", "rollcall_recovery_codes")
RESTORE = "".join(
    [f"DELETE FROM {name};" for name in (*OURS, *reversed(NAMES))]
    + [f"INSERT INTO {name} SELECT * FROM pristine_{name};" for name in NAMES]
)
COUNT = "".join(
    f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT coalesce(max(id), 1) FROM {name}));"
    for name in NUMBERED
)


async def run(url, script):
    """Statements on the database itself, past everything that is tested."""
    if url.startswith("sqlite"):
        # Whoever holds the file's lock meanwhile, as the postman of a server may, goes on in this loop.
        await asyncio.to_thread(run_on_file, url.partition(":///")[2], script)
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script + COUNT)
    finally:
        await connection.close()


def run_on_file(path, script):
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"BEGIN;{script}COMMIT;")


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def editors_db(request, templates, tmp_path_factory):
    """The desk's database, with a copy of every row in it."""
    async with AsyncExitStack() as stack:
        system = await copied(stack, request.param, templates, tmp_path_factory.mktemp("desk"))
        await import_rows(system.database, DESK, replace=False)
        await run(system.settings.database_url, KEEP)
        yield system


@pytest_asyncio.fixture
async def editors(editors_db):
    """The desk as it was in the beginning, to change at will."""
    yield editors_db
    await run(editors_db.settings.database_url, RESTORE)
