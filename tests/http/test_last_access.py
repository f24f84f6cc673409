"""Users' last access is written in batches, and never while a request is handled."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update
from structlog.testing import capture_logs

from app.core.caller import PUBLIC, SYSTEM, Caller
from app.core.errors import InvalidCredentials, ServiceUnavailable
from app.db.database import Database
from app.db.models import VERSION, Activity, Revision, User
from app.repositories.last_access import LastAccessTracker
from tests.base_data import caller, static_token, uid
from tests.conftest import make_settings
from tests.http.test_graphql import ADA, ME, PATH, bearer, served

pytestmark = pytest.mark.both_databases

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
BEFORE, LATER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
ME_QUERY = "{ users_me { id } }"


def tracker_of(system, now=NOON, **limits):
    return LastAccessTracker(system.database, lambda: now, **limits)


async def last_accesses(system):
    """Return the last access by the users' first names, without those who have none."""
    query = select(User.first_name, User.last_access).where(User.last_access.is_not(None))
    async with system.database.transaction() as connection:
        return {name.lower(): moment for name, moment in await connection.execute(query)}


async def clear_last_accesses(system):
    async with system.database.transaction() as connection:
        await connection.execute(update(User).values(last_access=None))


@asynccontextmanager
async def open_app(system, seconds=3600.0, **settings):
    interval = timedelta(seconds=seconds)
    async with served(system.settings.model_copy(update={"last_access_interval": interval, **settings})) as client:
        yield client


@pytest.mark.parametrize("planned", [True, False])
async def test_requests_with_a_valid_token_update_the_last_access(restored_db, planned):
    await clear_last_accesses(restored_db)
    async with open_app(restored_db, graphql_plans=planned) as client:
        for _ in range(2):
            await client.post(PATH, json=ME, headers=ADA)
            await client.get("/users/me", headers=bearer(static_token("sam")))
            await client.get("/server/info", headers=bearer(static_token("vi")))
            await client.post(PATH, json={"query": "{ server_ping }"})
            await client.post(PATH, json=ME, headers=bearer("nobodys-token"))
        during = await last_accesses(restored_db)

    assert during == {}
    assert set(await last_accesses(restored_db)) == {"ada", "sam", "vi"}


async def test_it_is_written_periodically_while_the_server_runs(restored_db):
    await clear_last_accesses(restored_db)
    async with open_app(restored_db, seconds=0.05) as client:
        await client.post(PATH, json=ME, headers=ADA)
        first = await wait_until(restored_db, lambda moments: "ada" in moments)
        await client.post(PATH, json=ME, headers=ADA)
        await wait_until(restored_db, lambda moments: moments["ada"] > first["ada"])


async def wait_until(system, condition):
    for _ in range(100):
        moments = await last_accesses(system)
        if condition(moments):
            return moments
        await asyncio.sleep(0.02)
    raise TimeoutError


async def test_it_is_never_written_if_the_interval_is_0(restored_db):
    await clear_last_accesses(restored_db)
    async with open_app(restored_db, seconds=0) as client:
        await client.post(PATH, json=ME, headers=ADA)

    assert await last_accesses(restored_db) == {}


@pytest.mark.counting
async def test_requests_write_nothing_and_one_statement_writes_many(restored_db):
    await clear_last_accesses(restored_db)
    for name in ("ada", "sam", "vi", "ed"):
        for _ in range(3):
            await restored_db.execute(ME_QUERY, caller=caller(name))
    statements = restored_db.database.reader.statements

    assert await last_accesses(restored_db) == {}
    await restored_db.services.last_access.flush()
    assert set(await last_accesses(restored_db)) == {"ada", "sam", "vi", "ed"}
    assert restored_db.database.reader.statements == statements


async def test_a_rejected_caller_is_not_recorded(restored_db):
    await clear_last_accesses(restored_db)
    vi = Caller(token=static_token("vi"))
    await restored_db.execute(ME_QUERY, caller=vi)
    await restored_db.services.last_access.flush()
    await clear_last_accesses(restored_db)
    async with restored_db.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(token=None))
    with pytest.raises(InvalidCredentials):
        await restored_db.directory(vi)["users"].read_by_query()
    await restored_db.services.last_access.flush()

    assert await last_accesses(restored_db) == {}


async def test_neither_the_public_nor_the_system_caller_is_recorded(restored_db):
    await clear_last_accesses(restored_db)
    await restored_db.execute(ME_QUERY, caller=PUBLIC)
    for system in (SYSTEM, Caller(user=uid("ada"), system=True)):
        await restored_db.directory(system)["users"].count()
    await restored_db.services.last_access.flush()

    assert await last_accesses(restored_db) == {}


async def test_a_later_moment_is_not_overwritten(restored_db):
    async with restored_db.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(last_access=LATER))
        await connection.execute(update(User).where(User.id == uid("sam")).values(last_access=BEFORE))
    tracker = tracker_of(restored_db)
    for name in ("vi", "sam"):
        tracker.record(uid(name))
    await tracker.flush()
    moments = await last_accesses(restored_db)

    assert (moments["vi"], moments["sam"]) == (LATER, NOON)


async def test_it_is_not_audited_and_revokes_nothing(restored_db):
    async def other_state():
        counts = [select(func.count()).select_from(table) for table in (Activity, Revision)]
        async with restored_db.database.transaction() as connection:
            return [await connection.scalar(query) for query in (*counts, select(VERSION.c.token))]

    before, tracker = await other_state(), tracker_of(restored_db)
    tracker.record(uid("ada"))
    await tracker.flush()

    assert (await last_accesses(restored_db))["ada"] == NOON
    assert await other_state() == before


async def test_it_does_not_wait_for_locks(restored_db):
    if restored_db.database.dialect == "sqlite":
        pytest.skip("an SQLite file has one writer at a time")
    await clear_last_accesses(restored_db)
    tracker = tracker_of(restored_db)
    async with restored_db.database.transaction() as connection:
        await connection.execute(text("SELECT id FROM rollcall_lock FOR UPDATE"))
        await connection.execute(update(User).where(User.id == uid("vi")).values(title="Busy"))
        for name in ("vi", "sam"):
            tracker.record(uid(name))
        async with asyncio.timeout(2):
            await tracker.flush()

    assert set(await last_accesses(restored_db)) == {"sam"}


async def test_users_are_written_in_batches_and_the_memory_is_bounded(restored_db):
    await clear_last_accesses(restored_db)
    names = ["ada", "sam", "vi", "ed"]
    batches, few = tracker_of(restored_db, batch_size=3), tracker_of(restored_db, now=LATER, max_users=2)
    for name in names * 2:
        batches.record(uid(name))
        few.record(uid(name))
    await batches.flush()
    first = await last_accesses(restored_db)
    await few.flush()

    assert first == dict.fromkeys(names, NOON)
    assert await last_accesses(restored_db) == {"ada": LATER, "sam": LATER, "vi": NOON, "ed": NOON}


async def test_a_failed_write_is_retried_and_does_not_block_the_shutdown():
    unreachable = Database.open(make_settings("postgresql+asyncpg://nobody@127.0.0.1:1/nothing"))
    tracker = LastAccessTracker(unreachable)
    try:
        with capture_logs() as lines:
            async with tracker.running(timedelta(seconds=0.02)):
                tracker.record(uid("ada"))
                await asyncio.sleep(0.2)
        with pytest.raises(ServiceUnavailable):
            await tracker.flush()
    finally:
        await unreachable.dispose()

    assert "last_access_flush_failed" in [line["event"] for line in lines]
