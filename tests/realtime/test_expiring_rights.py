"""A right that expires ends what it showed, although no event says so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.caller import Caller
from app.core.errors import Forbidden
from app.flows.realtime.hub import RealtimeHub
from app.graphql.subscriptions import read_visible
from app.query.collection import USERS
from tests.base_data import static_token, uid
from tests.flows.clock import FrozenClock
from tests.realtime.test_delivery_property import Feed, Sink
from tests.realtime.test_events import write

VI = Caller(token=static_token("vi"))
HOUR = timedelta(hours=1)
SECOND_POLICY = f"""
INSERT INTO directus_access (id, policy, "user") VALUES ('{uid("more")}', '{uid("policy-Staff")}', '{uid("vi")}');
"""
EXPIRES = "INSERT INTO rollcall_access_expiry (access, expires) VALUES ('{access}', '{end:%Y-%m-%dT%H:%M:%S.%fZ}');"


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def hub(restored_db, clock):
    services = replace(restored_db.services, clock=clock)
    return RealtimeHub(services.with_registry(services.registry))


async def subscribed(hub, sink):
    """Let Vi subscribe to users."""
    feed = Feed(hub)
    await feed.start()
    member = await hub.join(VI, sink.end)
    await feed.deliver()
    await hub.subscribe(member, lambda access: read_visible(USERS, access), sink)


async def test_a_subscription_ends_when_the_only_right_to_read_expires(hub, restored_db, clock):
    sink = Sink()
    access = uid("access-Viewers-Viewer-None")
    await write(restored_db, EXPIRES.format(access=access, end=clock.now + HOUR))
    await subscribed(hub, sink)
    await hub._tick()
    before = sink.error
    clock.advance(2 * HOUR)
    await hub._tick()

    assert before is None
    assert isinstance(sink.error, Forbidden)


async def test_rows_that_only_the_expired_right_showed_are_deleted(hub, restored_db, clock):
    sink = Sink()
    await write(restored_db, SECOND_POLICY + EXPIRES.format(access=uid("more"), end=clock.now + HOUR))
    await subscribed(hub, sink)
    clock.advance(2 * HOUR)
    await hub._tick()
    deleted = {change.key for change in sink.take() if change.action == "delete"}

    assert sink.error is None
    assert deleted >= {uid("sam"), uid("kit"), uid("ann"), uid("nora")}  # users without a title
    assert uid("ed") not in deleted
