"""Databases with `EDITOR_ROWS`: one of each kind, restored after each test."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing

import asyncpg
import pytest_asyncio

from app.flows.import_export import import_rows
from tests.conftest import BACKENDS, open_copy
from tests.http.test_graphql import served
from tests.restoration import TABLES_WITH_SEQUENCES, restore_rows, save_rows
from tests.writes.editors import EDITOR_ROWS

RESET_SEQUENCES_SQL = "".join(
    f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT coalesce(max(id), 1) FROM {name}));"
    for name in TABLES_WITH_SEQUENCES
)


async def run_sql(url, sql):
    """Run statements directly on the database, bypassing Rollcall."""
    if url.startswith("sqlite"):
        # a thread, because a background job of a server in this event loop may hold the file's lock
        await asyncio.to_thread(run_on_sqlite_file, url.partition(":///")[2], sql)
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql + RESET_SEQUENCES_SQL)
    finally:
        await connection.close()


def run_on_sqlite_file(path, sql):
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"BEGIN;{sql}COMMIT;")


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def editors_db(request, templates, tmp_path_factory):
    """A database with `EDITOR_ROWS` and a copy of every table."""
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("editors"))
        await import_rows(system.database, EDITOR_ROWS, replace=False)
        await save_rows(system)
        yield system


@pytest_asyncio.fixture
async def editors(editors_db):
    """The database with `EDITOR_ROWS`; it may be changed and is restored after the test."""
    yield editors_db
    await restore_rows(editors_db)


@pytest_asyncio.fixture(scope="session")
async def client(editors_db):
    """A client of a server on the database with `EDITOR_ROWS`, shared because each server has its own connections."""
    async with served(editors_db.settings.model_copy(update={"log_level": "error"})) as client:
        yield client
