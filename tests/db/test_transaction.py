"""The statements of a write transaction run in order, and either all of them take effect or none."""

import asyncio
import gc
import sqlite3
import weakref
from contextlib import closing

import pytest
from sqlalchemy import insert, select

from app.core.errors import Forbidden, ServiceUnavailable
from app.db.statement import bind_param
from app.query.collection import ROLES
from tests.base_data import uid

TABLE = ROLES.table
NAMES = select(TABLE.c.name).where(TABLE.c.name.like("New%")).order_by(TABLE.c.name)


def insert_role(name):
    return insert(TABLE).values(id=uid(name), name=name)


async def run(system, work):
    return await system.database.run_write(work, exclusive=True)


async def names(system):
    async def work(writer):
        return [row[0] for row in await writer.fetch_all(writer.compile(NAMES))]

    return await run(system, work)


async def test_the_last_statement_sees_all_before_it_and_commits(restored_db):
    async def work(writer):
        await writer.execute_batch([writer.compile(insert_role("New 1")), writer.compile(insert_role("New 2"))], {})
        return await writer.fetch_and_commit(writer.compile(NAMES), {}, lambda row: row[0])

    assert await run(restored_db, work) == "New 1"
    assert await names(restored_db) == ["New 1", "New 2"]


async def test_if_decoding_the_last_row_fails_nothing_is_committed(restored_db):
    def decode(_):
        raise Forbidden

    async def work(writer):
        await writer.fetch_all(writer.compile(insert_role("New")))
        await writer.fetch_and_commit(writer.compile(NAMES), {}, decode)

    with pytest.raises(Forbidden):
        await run(restored_db, work)
    assert await names(restored_db) == []


async def test_a_failure_after_a_statement_or_before_any_rolls_back_and_the_next_write_works(restored_db):
    async def fail_late(writer):
        await writer.fetch_all(writer.compile(insert_role("New")))
        raise Forbidden

    async def fail_early(_):
        raise Forbidden

    for work in (fail_late, fail_early):
        with pytest.raises(Forbidden):
            await run(restored_db, work)
        assert await names(restored_db) == []


async def test_a_cancelled_transaction_is_rolled_back(restored_db):
    async def work(writer):
        await writer.fetch_all(writer.compile(insert_role("New")))
        await asyncio.sleep(60)

    task = asyncio.ensure_future(run(restored_db, work))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names(restored_db) == []


async def test_an_sqlite_file_locked_by_another_program_is_unavailable_until_it_is_unlocked(restored_db):
    if restored_db.services.dialect != "sqlite":
        pytest.skip("PostgreSQL's lock has its own timeout")

    async def shorten_timeout(writer):
        await writer._driver.execute_fetchall("PRAGMA busy_timeout=50")

    await run(restored_db, shorten_timeout)
    with closing(sqlite3.connect(restored_db.settings.database_url.partition(":///")[2])) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceUnavailable):
            await names(restored_db)
        other.rollback()
    assert await names(restored_db) == []


async def test_a_statement_is_compiled_once_and_forgotten_when_it_is_garbage(restored_db):
    async def work(writer):
        assert writer.compile(NAMES) is writer.compile(NAMES)
        temporary = insert_role("New 1")
        writer.compile(temporary)
        reference = weakref.ref(temporary)
        del temporary
        gc.collect()
        assert reference() is None

    await run(restored_db, work)


async def test_one_statement_is_bound_to_other_values_each_time(restored_db):
    statement = insert(TABLE).values(id=bind_param("id", TABLE.c.id.type), name=bind_param("name", TABLE.c.name.type))

    async def work(writer):
        for name in ("New 1", "New 2"):
            await writer.execute(statement, {"id": uid(name), "name": name})

    await run(restored_db, work)
    assert await names(restored_db) == ["New 1", "New 2"]
