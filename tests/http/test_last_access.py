"""Who was here is written down for all of them at once, and never on the way of a request."""

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
from tests.conftest import make_settings
from tests.http.test_graphql import ADA, ME, PATH, bearer, served
from tests.world import caller, static_token, uid

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
BEFORE, LATER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)
OWN = "{ users_me { id } }"


def presence(system, now=NOON, **limits):
    return LastAccessTracker(system.database, lambda: now, **limits)


async def seen(system):
    """When users were here, by their first names; those who never were are left out."""
    asked = select(User.first_name, User.last_access).where(User.last_access.is_not(None))
    async with system.database.transaction() as connection:
        return {name.lower(): moment for name, moment in await connection.execute(asked)}


async def never(system):
    async with system.database.transaction() as connection:
        await connection.execute(update(User).values(last_access=None))


@asynccontextmanager
async def open_app(system, seconds=3600.0, **settings):
    every = timedelta(seconds=seconds)
    async with served(system.settings.model_copy(update={"last_access_interval": every, **settings})) as client:
        yield client


@pytest.mark.parametrize("planned", [True, False])
async def test_whoever_asks_with_a_token_was_here(writable_db, planned):
    await never(writable_db)
    async with open_app(writable_db, graphql_plans=planned) as client:
        for _ in range(2):
            await client.post(PATH, json=ME, headers=ADA)
            await client.get("/users/me", headers=bearer(static_token("sam")))
            await client.get("/server/info", headers=bearer(static_token("vi")))
            await client.post(PATH, json={"query": "{ server_ping }"})
            await client.post(PATH, json=ME, headers=bearer("nobodys-token"))
        during = await seen(writable_db)

    assert during == {}
    assert set(await seen(writable_db)) == {"ada", "sam", "vi"}


async def test_it_is_written_now_and_then_while_the_server_runs(writable_db):
    await never(writable_db)
    async with open_app(writable_db, seconds=0.05) as client:
        await client.post(PATH, json=ME, headers=ADA)
        first = await until_seen(writable_db, lambda found: "ada" in found)
        await client.post(PATH, json=ME, headers=ADA)
        await until_seen(writable_db, lambda found: found["ada"] > first["ada"])


async def until_seen(system, holds):
    for _ in range(100):
        found = await seen(system)
        if holds(found):
            return found
        await asyncio.sleep(0.02)
    raise TimeoutError


async def test_it_is_never_written_where_the_interval_is_none(writable_db):
    await never(writable_db)
    async with open_app(writable_db, seconds=0) as client:
        await client.post(PATH, json=ME, headers=ADA)

    assert await seen(writable_db) == {}


@pytest.mark.counting
async def test_requests_write_nothing_and_one_statement_writes_for_many(writable_db):
    await never(writable_db)
    for name in ("ada", "sam", "vi", "ed"):
        for _ in range(3):
            await writable_db.execute(OWN, caller=caller(name))
    statements = writable_db.database.reader.statements

    assert await seen(writable_db) == {}
    await writable_db.services.last_access.flush()
    assert set(await seen(writable_db)) == {"ada", "sam", "vi", "ed"}
    assert writable_db.database.reader.statements == statements


async def test_who_is_refused_was_not_here(writable_db):
    await never(writable_db)
    vi = Caller(token=static_token("vi"))
    await writable_db.execute(OWN, caller=vi)
    await writable_db.services.last_access.flush()
    await never(writable_db)
    async with writable_db.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(token=None))
    with pytest.raises(InvalidCredentials):
        await writable_db.directory(vi)["users"].read_by_query()
    await writable_db.services.last_access.flush()

    assert await seen(writable_db) == {}


async def test_neither_the_public_nor_trusted_code_is_anybody(writable_db):
    await never(writable_db)
    for somebody in (PUBLIC, SYSTEM, Caller(user=uid("ada"), system=True)):
        await writable_db.directory(somebody)["users"].count() if somebody.system else await writable_db.execute(OWN)
    await writable_db.services.last_access.flush()

    assert await seen(writable_db) == {}


async def test_a_later_moment_stays(writable_db):
    async with writable_db.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(last_access=LATER))
        await connection.execute(update(User).where(User.id == uid("sam")).values(last_access=BEFORE))
    here = presence(writable_db)
    for name in ("vi", "sam"):
        here.record(uid(name))
    await here.flush()
    found = await seen(writable_db)

    assert (found["vi"], found["sam"]) == (LATER, NOON)


async def test_it_leaves_no_trail_and_revokes_nothing(writable_db):
    async def rest():
        counts = [select(func.count()).select_from(table) for table in (Activity, Revision)]
        async with writable_db.database.transaction() as connection:
            return [await connection.scalar(asked) for asked in (*counts, select(VERSION.c.token))]

    before, here = await rest(), presence(writable_db)
    here.record(uid("ada"))
    await here.flush()

    assert (await seen(writable_db))["ada"] == NOON
    assert await rest() == before


async def test_it_waits_for_nobody_who_holds_the_lock_or_a_user(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("an SQLite file has one writer at a time, whoever it is")
    await never(writable_db)
    here = presence(writable_db)
    async with writable_db.database.transaction() as connection:
        await connection.execute(text("SELECT id FROM rollcall_lock FOR UPDATE"))
        await connection.execute(update(User).where(User.id == uid("vi")).values(title="Busy"))
        for name in ("vi", "sam"):
            here.record(uid(name))
        async with asyncio.timeout(2):
            await here.flush()

    assert set(await seen(writable_db)) == {"sam"}


async def test_many_are_written_in_batches_and_so_many_are_remembered(writable_db):
    await never(writable_db)
    names = ["ada", "sam", "vi", "ed"]
    batches, few = presence(writable_db, batch_size=3), presence(writable_db, now=LATER, max_users=2)
    for name in names * 2:
        batches.record(uid(name))
        few.record(uid(name))
    await batches.flush()
    first = await seen(writable_db)
    await few.flush()

    assert first == dict.fromkeys(names, NOON)
    assert await seen(writable_db) == {"ada": LATER, "sam": LATER, "vi": NOON, "ed": NOON}


async def test_what_can_not_be_written_is_remembered_and_the_server_still_ends(writable_db):
    away = Database.open(make_settings("postgresql+asyncpg://nobody@127.0.0.1:1/nothing"))
    here = LastAccessTracker(away)
    try:
        with capture_logs() as lines:
            async with here.running(timedelta(seconds=0.02)):
                here.record(uid("ada"))
                await asyncio.sleep(0.2)
        with pytest.raises(ServiceUnavailable):
            await here.flush()
    finally:
        await away.dispose()

    assert "presence_not_written" in [line["event"] for line in lines]
