"""Exclusive writes exclude one another, concurrent writes wait for none of them, and no connection is missing."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import literal, select, text

from app.db.models import User
from app.repositories.rules.users import track_page
from tests.base_data import uid

ONE = select(literal(1))
DEADLINE_SECONDS = 20


@asynccontextmanager
async def open_write(system, *, exclusive):
    """A write transaction that stays open until the block ends."""
    started, finished = asyncio.Event(), asyncio.Event()

    async def work(writer):
        await writer.fetch(ONE)
        started.set()
        await finished.wait()

    task = asyncio.ensure_future(system.database.run_write(work, exclusive=exclusive))
    await asyncio.wait_for(started.wait(), DEADLINE_SECONDS)
    try:
        yield
    finally:
        finished.set()
        await task


async def write(system, *, exclusive):
    await system.database.run_write(lambda writer: writer.fetch(ONE), exclusive=exclusive)


async def test_many_writes_at_once_leave_connections_for_transactions_of_another_kind(restored_db):
    size = restored_db.settings.db_pool_size
    together = asyncio.Barrier(size if restored_db.database.dialect == "postgresql" else 1)

    async def work(writer):
        await writer.fetch(ONE)
        await together.wait()

    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*(restored_db.database.run_write(work, exclusive=False) for _ in range(size)))
        await write(restored_db, exclusive=True)
        async with restored_db.database.transaction() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1


async def test_exclusive_writes_run_one_after_the_other(restored_db):
    async with open_write(restored_db, exclusive=True):
        other = asyncio.ensure_future(write(restored_db, exclusive=True))
        await asyncio.sleep(0.1)
        assert not other.done()
    await asyncio.wait_for(other, DEADLINE_SECONDS)


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_concurrent_write_waits_for_no_other(restored_db, exclusive):
    if restored_db.database.dialect == "sqlite":
        pytest.skip("on SQLite every write is exclusive")
    async with open_write(restored_db, exclusive=exclusive):
        await asyncio.wait_for(write(restored_db, exclusive=False), DEADLINE_SECONDS)


async def test_on_sqlite_every_write_is_exclusive(restored_db):
    if restored_db.database.dialect != "sqlite":
        pytest.skip("PostgreSQL runs several writes at once")
    async with open_write(restored_db, exclusive=False):
        other = asyncio.ensure_future(write(restored_db, exclusive=False))
        await asyncio.sleep(0.1)
        assert not other.done()
    await asyncio.wait_for(other, DEADLINE_SECONDS)


async def test_a_users_last_page_is_saved_while_an_exclusive_write_is_running(restored_db):
    if restored_db.database.dialect == "sqlite":
        pytest.skip("on SQLite every write is exclusive")
    async with open_write(restored_db, exclusive=True):
        await asyncio.wait_for(track_page(restored_db.services, uid("vi"), "/users"), DEADLINE_SECONDS / 10)

    page = await restored_db.database.reader.fetch(select(User.last_page).where(User.id == uid("vi")))
    assert page[0] == "/users"


async def test_exclusive_writes_of_one_owner_let_others_take_turns(restored_db):
    order = []

    async def write_as(owner):
        await restored_db.database.run_write(lambda writer: writer.fetch(ONE), exclusive=True, owner=owner)
        order.append(owner)

    async with open_write(restored_db, exclusive=True):
        tasks = []
        for owner in ("eve", "eve", "eve", "ada"):
            tasks.append(asyncio.ensure_future(write_as(owner)))
            await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*tasks)

    assert order == ["eve", "ada", "eve", "eve"]


async def test_concurrent_writes_of_one_owner_leave_permits_for_others(restored_db):
    if restored_db.database.dialect == "sqlite":
        pytest.skip("every write to SQLite is exclusive")
    release = asyncio.Event()

    async def work(writer):
        await writer.fetch(ONE)
        await release.wait()

    database = restored_db.database
    permits = restored_db.settings.db_pool_size
    eves = [asyncio.ensure_future(database.run_write(work, exclusive=False, owner="eve")) for _ in range(permits)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(DEADLINE_SECONDS):
        await database.run_write(lambda writer: writer.fetch(ONE), exclusive=False, owner="ada")
        assert not any(task.done() for task in eves)
        release.set()
        await asyncio.gather(*eves)
