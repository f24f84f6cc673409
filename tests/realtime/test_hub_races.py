"""Nothing is missed when the hub stops and begins to read events, or when the database fails during a delivery."""

import asyncio
from contextlib import contextmanager

import pytest

from app.core.caller import Caller
from app.core.errors import ServiceUnavailable
from app.flows.realtime.hub import RealtimeHub
from app.graphql.subscriptions import read_visible
from app.query.collection import USERS
from app.testing import open_system
from tests.base_data import static_token, uid
from tests.realtime.test_delivery_property import Feed, Sink
from tests.realtime.test_events import write

ADA, VI, ED = Caller(token=static_token("ada")), Caller(token=static_token("vi")), uid("ed")


@pytest.fixture
async def hub(restored_db):
    """A hub without its background tasks: the tests hand it the events."""
    return RealtimeHub(restored_db.services)


async def joined(hub, caller, sink):
    return await hub.join(caller, sink.end)


async def subscribe(hub, member, sink):
    return await hub.subscribe(member, lambda access: read_visible(USERS, access), sink)


async def test_a_subscription_waits_for_a_position_from_after_a_pause(hub):
    feed, sink = Feed(hub), Sink()
    await feed.start()
    hub.leave(await joined(hub, VI, sink))
    await feed.deliver()  # a batch that was being read when the last member left
    member = await joined(hub, VI, sink)
    starting = asyncio.ensure_future(subscribe(hub, member, sink))
    await asyncio.sleep(0.2)
    started_early = starting.done()
    await feed.deliver()
    await starting

    assert not started_early


async def test_events_are_read_while_a_token_is_renewed(hub, restored_db):
    feed, sink = Feed(hub), Sink()
    await feed.start()
    member, other = await joined(hub, VI, sink), await joined(hub, ADA, sink)
    await feed.deliver()
    await subscribe(hub, member, sink)
    hub.pause(member)
    hub.leave(other)
    was_wanted = hub._feed.wanted
    await write(restored_db, f"UPDATE directus_users SET title = 'Meanwhile' WHERE id = '{ED}';")
    await feed.deliver()
    await hub.resume(member, VI)

    assert was_wanted
    assert [(change.action, change.data["title"]) for change in sink.take()] == [("update", "Meanwhile")]


@contextmanager
def every_connection_taken(pool):
    """Let every statement fail at once, as when the database is unavailable."""
    taken = list(iter(pool.acquire_nowait, None))
    try:
        yield
    finally:
        for slot in taken:
            pool.release(slot)


async def test_a_withdrawn_right_is_noticed_when_the_delivery_is_repeated(restored_db):
    without_queue = restored_db.settings.model_copy(update={"db_queue_size": 0})
    async with open_system(without_queue) as system:
        hub, sink = RealtimeHub(system.services), Sink()
        feed = Feed(hub)
        await feed.start()
        member = await joined(hub, VI, sink)
        await feed.deliver()
        await subscribe(hub, member, sink)
        await write(restored_db, "DELETE FROM directus_permissions WHERE id = 4;")
        batch = await feed.read()
        with every_connection_taken(system.database.reader.slots), pytest.raises(ServiceUnavailable):
            await hub._handle(batch)
        await feed.deliver()

    assert sink.error is not None
