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
async def test_whoever_asks_with_a_token_was_here(fresh, planned):
    await never(fresh)
    async with open_app(fresh, graphql_plans=planned) as client:
        for _ in range(2):
            await client.post(PATH, json=ME, headers=ADA)
            await client.get("/users/me", headers=bearer(static_token("sam")))
            await client.get("/server/info", headers=bearer(static_token("vi")))
            await client.post(PATH, json={"query": "{ server_ping }"})
            await client.post(PATH, json=ME, headers=bearer("nobodys-token"))
        during = await seen(fresh)

    assert during == {}
    assert set(await seen(fresh)) == {"ada", "sam", "vi"}


async def test_it_is_written_now_and_then_while_the_server_runs(fresh):
    await never(fresh)
    async with open_app(fresh, seconds=0.05) as client:
        await client.post(PATH, json=ME, headers=ADA)
        first = await until_seen(fresh, lambda found: "ada" in found)
        await client.post(PATH, json=ME, headers=ADA)
        await until_seen(fresh, lambda found: found["ada"] > first["ada"])


async def until_seen(system, holds):
    for _ in range(100):
        found = await seen(system)
        if holds(found):
            return found
        await asyncio.sleep(0.02)
    raise TimeoutError


async def test_it_is_never_written_where_the_interval_is_none(fresh):
    await never(fresh)
    async with open_app(fresh, seconds=0) as client:
        await client.post(PATH, json=ME, headers=ADA)

    assert await seen(fresh) == {}


@pytest.mark.counting
async def test_requests_write_nothing_and_one_statement_writes_for_many(fresh):
    await never(fresh)
    for name in ("ada", "sam", "vi", "ed"):
        for _ in range(3):
            await fresh.execute(OWN, caller=caller(name))
    statements = fresh.database.reader.statements

    assert await seen(fresh) == {}
    await fresh.services.presence.flush()
    assert set(await seen(fresh)) == {"ada", "sam", "vi", "ed"}
    assert fresh.database.reader.statements == statements


async def test_who_is_refused_was_not_here(fresh):
    await never(fresh)
    vi = Caller(token=static_token("vi"))
    await fresh.execute(OWN, caller=vi)
    await fresh.services.presence.flush()
    await never(fresh)
    async with fresh.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(token=None))
    with pytest.raises(InvalidCredentials):
        await fresh.directory(vi)["users"].read_by_query()
    await fresh.services.presence.flush()

    assert await seen(fresh) == {}


async def test_neither_the_public_nor_trusted_code_is_anybody(fresh):
    await never(fresh)
    for somebody in (PUBLIC, SYSTEM, Caller(user=uid("ada"), system=True)):
        await fresh.directory(somebody)["users"].count() if somebody.system else await fresh.execute(OWN)
    await fresh.services.presence.flush()

    assert await seen(fresh) == {}


async def test_a_later_moment_stays(fresh):
    async with fresh.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(last_access=LATER))
        await connection.execute(update(User).where(User.id == uid("sam")).values(last_access=BEFORE))
    here = presence(fresh)
    for name in ("vi", "sam"):
        here.record(uid(name))
    await here.flush()
    found = await seen(fresh)

    assert (found["vi"], found["sam"]) == (LATER, NOON)


async def test_it_leaves_no_trail_and_revokes_nothing(fresh):
    async def rest():
        counts = [select(func.count()).select_from(table) for table in (Activity, Revision)]
        async with fresh.database.transaction() as connection:
            return [await connection.scalar(asked) for asked in (*counts, select(VERSION.c.token))]

    before, here = await rest(), presence(fresh)
    here.record(uid("ada"))
    await here.flush()

    assert (await seen(fresh))["ada"] == NOON
    assert await rest() == before


async def test_it_waits_for_nobody_who_holds_the_lock_or_a_user(fresh):
    if fresh.database.dialect == "sqlite":
        pytest.skip("an SQLite file has one writer at a time, whoever it is")
    await never(fresh)
    here = presence(fresh)
    async with fresh.database.transaction() as connection:
        await connection.execute(text("SELECT id FROM rollcall_lock FOR UPDATE"))
        await connection.execute(update(User).where(User.id == uid("vi")).values(title="Busy"))
        for name in ("vi", "sam"):
            here.record(uid(name))
        async with asyncio.timeout(2):
            await here.flush()

    assert set(await seen(fresh)) == {"sam"}


async def test_many_are_written_in_batches_and_so_many_are_remembered(fresh):
    await never(fresh)
    names = ["ada", "sam", "vi", "ed"]
    batches, few = presence(fresh, batch=3), presence(fresh, now=LATER, most=2)
    for name in names * 2:
        batches.record(uid(name))
        few.record(uid(name))
    await batches.flush()
    first = await seen(fresh)
    await few.flush()

    assert first == dict.fromkeys(names, NOON)
    assert await seen(fresh) == {"ada": LATER, "sam": LATER, "vi": NOON, "ed": NOON}


async def test_what_can_not_be_written_is_remembered_and_the_server_still_ends(fresh):
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
