"""A transaction's statements: in their order, and all of them or none, whatever goes along with what."""

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
from tests.world import uid

TABLE = ROLES.table
NAMES = select(TABLE.c.name).where(TABLE.c.name.like("Made%")).order_by(TABLE.c.name)


def made(name):
    return insert(TABLE).values(id=uid(name), name=name)


async def names(system):
    async def look(writer):
        return [row[0] for row in await writer.all(writer.compile(NAMES))]

    return await system.database.run_write(look, exclusive=True)


async def test_what_is_said_last_finds_all_that_was_said_before_and_ends_it(writable_db):
    async def work(writer):
        await writer.execute_batch([writer.compile(made("Made 1")), writer.compile(made("Made 2"))], {})
        return await writer.fetch_and_commit(writer.compile(NAMES), {}, lambda row: row[0])

    assert await writable_db.database.run_write(work, exclusive=True) == "Made 1"
    assert await names(writable_db) == ["Made 1", "Made 2"]


async def test_where_the_last_row_is_refused_nothing_is_kept(writable_db):
    def refused(_):
        raise Forbidden

    async def work(writer):
        await writer.all(writer.compile(made("Made")))
        await writer.fetch_and_commit(writer.compile(NAMES), {}, refused)

    with pytest.raises(Forbidden):
        await writable_db.database.run_write(work, exclusive=True)
    assert await names(writable_db) == []


async def test_where_it_fails_after_a_statement_or_before_any_nothing_is_kept_and_the_next_finds_its_way(writable_db):
    async def late(writer):
        await writer.all(writer.compile(made("Made")))
        raise Forbidden

    async def early(_):
        raise Forbidden

    for work in (late, early):
        with pytest.raises(Forbidden):
            await writable_db.database.run_write(work, exclusive=True)
        assert await names(writable_db) == []


async def test_one_who_leaves_in_the_middle_takes_nothing_along(writable_db):
    async def work(writer):
        await writer.all(writer.compile(made("Made")))
        await asyncio.sleep(60)

    leaving = asyncio.ensure_future(writable_db.database.run_write(work, exclusive=True))
    await asyncio.sleep(0.1)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await names(writable_db) == []


async def test_an_sqlite_file_that_another_program_holds_is_unavailable_and_then_there_again(writable_db):
    if writable_db.services.dialect != "sqlite":
        pytest.skip("PostgreSQL's lock is held by its own time-out")

    async def brief(writer):
        await writer._driver.execute_fetchall("PRAGMA busy_timeout=50")

    await writable_db.database.run_write(brief, exclusive=True)
    with closing(sqlite3.connect(writable_db.settings.database_url.partition(":///")[2])) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceUnavailable):
            await names(writable_db)
        other.rollback()
    assert await names(writable_db) == []


async def test_a_statement_that_stays_is_compiled_once_and_one_that_goes_is_forgotten(writable_db):
    async def work(writer):
        assert writer.compile(NAMES) is writer.compile(NAMES)
        passing = made("Made 1")
        writer.compile(passing)
        left = weakref.ref(passing)
        del passing
        gc.collect()
        assert left() is None

    await writable_db.database.run_write(work, exclusive=True)


async def test_the_same_statement_is_given_other_values_each_time(writable_db):
    adding = insert(TABLE).values(id=bind_param("id", TABLE.c.id.type), name=bind_param("name", TABLE.c.name.type))

    async def work(writer):
        for name in ("Made 1", "Made 2"):
            await writer.execute(adding, {"id": uid(name), "name": name})

    await writable_db.database.run_write(work, exclusive=True)
    assert await names(writable_db) == ["Made 1", "Made 2"]
