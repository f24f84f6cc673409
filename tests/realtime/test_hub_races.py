"""Nothing is missed when the hub stops and begins to read events, or when the database fails during a delivery."""

import asyncio
from contextlib import contextmanager

import pytest

from app.core.caller import Caller
from app.core.errors import ServiceUnavailable, TokenExpired
from app.flows.realtime.hub import RealtimeHub
from app.graphql.subscriptions import read_visible
from app.query.collection import USERS
from app.testing import open_system
from tests.base_data import static_token, uid
from tests.realtime.test_delivery_property import Feed, Sink
from tests.realtime.test_events import write

OTHER_RULE = '{"first_name": {"_nnull": true}}'
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


async def test_a_change_is_sent_once_a_token_is_renewed_although_others_were_sent_it_before(hub, restored_db):
    feed, sinks = Feed(hub), [Sink(), Sink()]
    await feed.start()
    paused, other = [await joined(hub, VI, sink) for sink in sinks]
    await feed.deliver()
    for member, sink in zip((paused, other), sinks, strict=True):
        await subscribe(hub, member, sink)
    hub.pause(paused)  # its token has expired
    await write(restored_db, f"UPDATE directus_users SET title = 'Meanwhile' WHERE id = '{ED}';")
    await feed.deliver()
    hub.pause(paused)  # until it is authenticated with another one
    await hub.resume(paused, VI)

    assert [[change.data["title"] for change in sink.take()] for sink in sinks] == [["Meanwhile"], ["Meanwhile"]]


async def test_callers_whose_rights_change_at_once_share_the_new_view(hub, restored_db):
    feed, sinks = Feed(hub), [Sink() for _ in range(3)]
    await feed.start()
    members = [await joined(hub, VI, sink) for sink in sinks]
    await feed.deliver()
    for member, sink in zip(members, sinks, strict=True):
        await subscribe(hub, member, sink)
    await write(restored_db, f"UPDATE directus_permissions SET permissions = '{OTHER_RULE}' WHERE id = 4;")
    await feed.deliver()
    views = {subscription.view for member in members for subscription in member.subscriptions}
    for member in members:
        hub.leave(member)

    assert [sink.error for sink in sinks] == [None] * 3
    assert len(views) == 1
    assert len(hub._views) == 0


async def test_a_client_that_leaves_while_its_rights_change_leaves_nothing(hub, restored_db):
    feed, sink = Feed(hub), Sink()
    await feed.start()
    member = await joined(hub, VI, sink)
    await feed.deliver()
    await subscribe(hub, member, sink)
    await write(restored_db, f"UPDATE directus_permissions SET permissions = '{OTHER_RULE}' WHERE id = 4;")
    delivery = asyncio.ensure_future(feed.deliver())
    while len(hub._views) and not delivery.done():  # noqa: ASYNC110  # until it is being moved to its new view
        await asyncio.sleep(0)
    hub.leave(member)
    await delivery

    assert len(hub._views) == 0


async def test_a_subscription_whose_token_expires_while_it_is_started_is_refused(hub):
    feed, sink = Feed(hub), Sink()
    await feed.start()
    member = await joined(hub, VI, sink)
    await feed.deliver()

    def build(access):
        hub.pause(member)
        return read_visible(USERS, access)

    with pytest.raises(TokenExpired):
        await hub.subscribe(member, build, sink)
    assert len(hub._views) == 0


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
