"""Where events may be missing, or come from another server, the feed says so, and recovers without a restart."""

import asyncio
import sys
import time

import pytest

from app.repositories.stores import events
from app.repositories.stores.events import Event, EventBatch
from tests.base_data import uid
from tests.realtime.test_events import collector, running_feed, write

ADA, ED = uid("ada"), uid("ed")
TITLE = "UPDATE directus_users SET title = '{}' WHERE id = '{}';"
NO_LEASE = "UPDATE rollcall_event_capture SET active_until = 0;"
ADD_EVENT = (
    "INSERT INTO rollcall_events (xid, collection, \"key\", action) VALUES ({}, 'directus_users', '{}', 'update');"
)
FOREIGN = 2**40
"""A transaction id that the server will not reach."""
NEXT_GENERATION = "UPDATE rollcall_event_capture SET generation_at = generation_at - 100;"


async def count_events(system, condition="true"):
    async with system.database.transaction() as transaction:
        query = f"SELECT count(*) FROM rollcall_events WHERE {condition}"
        return (await transaction.exec_driver_sql(query)).scalar_one()


async def test_a_time_without_a_lease_makes_a_batch_incomplete(restored_db, capturing):
    await write(restored_db, "UPDATE rollcall_event_capture SET started_xid = 1;")
    position = await capturing.position()
    await write(restored_db, NO_LEASE + TITLE.format("without an event", ADA))
    await capturing.renew_capture()
    batch = await capturing.read(position)
    await write(restored_db, TITLE.format("with an event", ADA))

    assert batch.incomplete
    assert (await capturing.read(batch.position)).events == (Event("directus_users", ADA, "update"),)


async def test_after_a_time_without_a_lease_the_feed_waits_for_earlier_transactions(restored_db, capturing, connection):
    batches: asyncio.Queue[EventBatch] = asyncio.Queue()
    async with running_feed(restored_db, collector(batches)) as feed:
        await batches.get()
        await write(restored_db, NO_LEASE)
        async with connection.transaction():
            await connection.execute(TITLE.format("committed late", ED))
            await capturing.renew_capture()
            gap = await batches.get()
            was_ready = feed.is_ready
        late = await batches.get()

    assert gap.incomplete
    assert not was_ready
    assert late.incomplete


async def test_events_of_another_server_are_neither_read_nor_kept(restored_db, capturing):
    if restored_db.database.dialect != "postgresql":
        pytest.skip("SQLite's events are identified by their keys, and a backup has these too")
    position = await capturing.position()
    await write(restored_db, ADD_EVENT.format(FOREIGN, ADA))
    unread = (await capturing.read(position)).events
    await write(restored_db, NEXT_GENERATION)
    await capturing.delete_old()

    assert unread == ()
    assert await count_events(restored_db, f"xid = {FOREIGN}") == 0


async def test_generations_end_although_the_clock_has_been_set_back(restored_db, capturing):
    await write(restored_db, TITLE.format("before", ADA))
    position = await capturing.position()
    ahead = position.at + 36_000
    await write(restored_db, f"UPDATE rollcall_event_capture SET generation_at = {ahead}, pruned_until = {ahead};")
    await capturing.delete_old()
    await write(restored_db, NEXT_GENERATION)
    await capturing.delete_old()
    later = position._replace(at=position.at + 2 * events.MARGIN_SECONDS)

    assert not (await capturing.read(later)).incomplete
    assert await count_events(restored_db) == 0


async def test_old_events_are_deleted_part_by_part(restored_db, capturing, monkeypatch):
    monkeypatch.setattr(events, "PRUNE_SIZE", 2)
    for number in range(5):
        await write(restored_db, TITLE.format(number, ADA))
    for _ in range(2):
        await write(restored_db, NEXT_GENERATION)
        await capturing.delete_old()

    assert await count_events(restored_db) == 0


@pytest.mark.nightly
async def test_a_million_events_that_nobody_reads_are_deleted(restored_db, capturing):
    position = await capturing.position()
    xid = "0" if restored_db.database.dialect == "sqlite" else "pg_current_xact_id()::text::bigint"
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
    await write(
        restored_db,
        f'INSERT INTO rollcall_events (xid, collection, "key", action) {numbers} '
        f"SELECT {xid}, 'directus_users', '{ADA}', 'update' FROM n;",
    )
    batch = await capturing.read(position)
    for _ in range(2):
        await write(restored_db, NEXT_GENERATION)
        began = time.monotonic()
        await capturing.delete_old()
        sys.stdout.write(f"deleted in {time.monotonic() - began:.1f} s\n")

    assert batch.incomplete
    assert await count_events(restored_db) == 0


@pytest.mark.nightly
async def test_the_feed_captures_events_again_after_an_unexpected_error(restored_db):
    rename = "ALTER TABLE {} RENAME TO {};"
    batches: asyncio.Queue[EventBatch] = asyncio.Queue()
    await write(restored_db, rename.format("rollcall_event_capture", "missing"))
    try:
        async with running_feed(restored_db, collector(batches)) as feed:
            await asyncio.sleep(0.2)
            await write(restored_db, rename.format("missing", "rollcall_event_capture"))
            while not feed.is_ready:  # noqa: ASYNC110  # the feed tells no event of it
                await asyncio.sleep(0.05)
    finally:
        if not await has_table(restored_db):
            await write(restored_db, rename.format("missing", "rollcall_event_capture"))


async def has_table(system):
    async with system.database.transaction() as transaction:
        return await transaction.run_sync(lambda sync: sync.dialect.has_table(sync, "rollcall_event_capture"))
