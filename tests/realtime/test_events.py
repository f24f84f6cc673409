"""Every commit's events are read once, in the order of the writes, by any program, and only while they are captured."""

import asyncio
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from app.core.caller import SYSTEM
from app.flows.realtime.feed import EventFeed
from app.repositories.services import Services
from app.repositories.stores import events
from app.repositories.stores.events import Event, EventBatch, EventStore
from tests.base_data import uid
from tests.writes.conftest import run_sql

ADA, VI, OTHER = uid("ada"), uid("vi"), uid("ed")


def of(batch, *collections):
    return [event for event in batch.events if event.collection in collections]


async def write(system, sql):
    await run_sql(system.settings.database_url.replace("+asyncpg", "").replace("+aiosqlite", ""), sql)


async def test_without_a_reader_writes_add_no_events(restored_db, store):
    await store.renew_capture()
    await write(restored_db, "UPDATE rollcall_event_capture SET active_until = 0;")
    position = await store.position()
    await restored_db.directory(SYSTEM)["users"].update_one(ADA, {"title": "Countess"})

    assert (await store.read(position)).events == ()


async def test_writes_of_rollcall_and_of_others_are_read_in_their_order_and_once(restored_db, capturing):
    position, user, role = await capturing.position(), str(uuid4()), str(uuid4())
    await restored_db.directory(SYSTEM)["users"].create_one({"id": user, "email": "new@example.com"})
    await write(
        restored_db,
        f"INSERT INTO directus_roles (id, name) VALUES ('{role}', 'Guests');"
        f"UPDATE directus_users SET role = '{role}' WHERE id = '{user}';"
        f"DELETE FROM directus_users WHERE id = '{user}';",
    )
    batch = await capturing.read(position)
    again = await capturing.read(batch.position)

    assert of(batch, "directus_users", "directus_roles") == [
        Event("directus_users", user, "create"),
        Event("directus_roles", role, "create"),
        Event("directus_users", user, "update"),
        Event("directus_users", user, "delete"),
    ]
    assert again.events == ()
    assert not again.incomplete


async def test_what_a_foreign_key_changes_is_an_event_too(restored_db, capturing):
    role = str(uuid4())
    await write(
        restored_db,
        f"INSERT INTO directus_roles (id, name) VALUES ('{role}', 'Guests');"
        f"UPDATE directus_users SET role = '{role}' WHERE id = '{VI}';",
    )
    position = await capturing.position()
    await restored_db.directory(SYSTEM)["roles"].delete_one(role)

    assert of(await capturing.read(position), "directus_users") == [Event("directus_users", VI, "update")]


async def test_the_time_of_the_last_access_alone_is_no_event(restored_db, capturing):
    position = await capturing.position()
    await write(restored_db, f"UPDATE directus_users SET last_access = '2031-01-01T00:00:00Z' WHERE id = '{ADA}';")
    alone = await capturing.read(position)
    await write(
        restored_db, f"UPDATE directus_users SET last_access = '2032-01-01T00:00:00Z', title = 'x' WHERE id = '{ADA}';"
    )

    assert alone.events == ()
    assert (await capturing.read(position)).events == (Event("directus_users", ADA, "update"),)


async def test_a_deleted_session_is_an_event_with_its_owner(restored_db, capturing):
    await write(
        restored_db,
        'INSERT INTO directus_sessions (token, "user", expires) '
        f"VALUES ('session', '{ADA}', '2031-01-01T00:00:00Z');",
    )
    position = await capturing.position()
    await write(restored_db, "DELETE FROM directus_sessions WHERE token = 'session';")

    assert (await capturing.read(position)).events == (Event("directus_sessions", ADA, "delete"),)


async def test_a_rolled_back_write_has_no_events(restored_db, capturing):
    position = await capturing.position()
    with pytest.raises(Exception, match=r"(?i)unique"):
        await write(
            restored_db,
            f"UPDATE directus_users SET title = 'lost' WHERE id = '{ADA}';"
            f"INSERT INTO directus_users (id, email) VALUES ('{ADA}', 'twice@example.com');",
        )

    assert (await capturing.read(position)).events == ()


async def test_events_deleted_before_they_were_read_make_a_batch_incomplete(restored_db, capturing):
    position = await capturing.position()
    await write(restored_db, "UPDATE rollcall_event_capture SET generation_at = 0, pruned_until = 0;")
    await write(restored_db, f"UPDATE directus_users SET title = 'x' WHERE id = '{ADA}';")
    position = position._replace(at=position.at - 300)
    for _ in range(2):  # events outlive one generation
        within = await capturing.read(position)
        await write(restored_db, "UPDATE rollcall_event_capture SET generation_at = generation_at - 100;")
        await capturing.delete_old()
    behind = await capturing.read(position)

    assert within.events == (Event("directus_users", ADA, "update"),)
    assert behind.incomplete
    assert behind.events == ()
    assert (await capturing.read(behind.position)).events == ()


async def test_too_many_events_make_a_batch_incomplete(restored_db, capturing, monkeypatch):
    monkeypatch.setattr(events, "MAX_BATCH_SIZE", 2)
    position = await capturing.position()
    for number in range(3):
        await write(restored_db, f"UPDATE directus_users SET title = '{number}' WHERE id = '{ADA}';")

    assert (await capturing.read(position)).incomplete


async def test_a_transaction_that_began_before_a_later_one_is_not_lost(restored_db, capturing, connection):
    title = "UPDATE directus_users SET title = 'first' WHERE id = '{}'"
    async with connection.transaction():
        await connection.execute(title.format(ADA))
        await write(restored_db, title.format(uid("vi")) + ";")
        position = await capturing.position()
        await write(restored_db, title.format(OTHER) + ";")
        later = await capturing.read(position)

    assert [event.key for event in later.events] == [OTHER]
    assert [event.key for event in (await capturing.read(later.position)).events] == [ADA]


async def test_capture_is_complete_once_earlier_transactions_have_ended(restored_db, store, connection):
    await write(restored_db, "UPDATE rollcall_event_capture SET active_until = 0;")
    async with connection.transaction():
        await connection.execute("SELECT pg_current_xact_id()")
        await store.renew_capture()
        early = await store.is_capture_complete()

    assert not early
    async with asyncio.timeout(30):  # other tests may be writing to other databases of the server
        while not await store.is_capture_complete():  # noqa: ASYNC110  # the database tells no event of it
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running_feed(system, handle):
    feed = EventFeed(Services.from_settings(system.database, system.settings), handle)
    feed.wanted = True
    async with feed.running(), asyncio.timeout(30):
        yield feed


def collector(batches):
    """Return a handler that collects the first batch, which has only a position, and those that are not empty."""
    first = iter([True])

    async def handle(batch):
        if next(first, False) or batch.events or batch.incomplete:
            await batches.put(batch)

    return handle


async def test_the_feed_hands_on_a_position_and_then_events(restored_db, capturing):
    batches: asyncio.Queue[EventBatch] = asyncio.Queue()
    async with running_feed(restored_db, collector(batches)):
        first = await batches.get()
        await write(restored_db, f"UPDATE directus_users SET title = 'Countess' WHERE id = '{ADA}';")
        second = await batches.get()

    assert not first.incomplete
    assert second.events == (Event("directus_users", ADA, "update"),)


async def test_a_failed_handler_gets_an_incomplete_batch_next(restored_db, capturing):
    batches: asyncio.Queue[EventBatch] = asyncio.Queue()
    failures, collect = iter([None, RuntimeError("failed")]), collector(batches)

    async def handle(batch):
        if error := next(failures, None):
            raise error
        await collect(batch)

    async with running_feed(restored_db, handle):
        await batches.get()

        assert (await batches.get()).incomplete


async def test_the_feed_goes_on_after_its_connections_were_lost(writable_db):
    if writable_db.database.dialect != "postgresql":
        pytest.skip("SQLite has no connections to a server")
    batches: asyncio.Queue[EventBatch] = asyncio.Queue()
    connection = await asyncpg.connect(writable_db.settings.database_url.replace("+asyncpg", ""))
    await EventStore(Services.from_settings(writable_db.database, writable_db.settings)).renew_capture()
    async with running_feed(writable_db, collector(batches)):
        await batches.get()
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.execute(f"UPDATE directus_users SET title = 'Countess' WHERE id = '{ADA}'")
        batch = await batches.get()
    await connection.close()

    assert batch.events == (Event("directus_users", ADA, "update"),)
