"""For random policies and commits, each of several subscribers is sent what its own queries before and after show.

Their rights often share a shape, so that one statement reads what changes for several of them.
"""

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.core.errors import RollcallError
from app.flows.realtime.hub import RealtimeHub
from tests.policy.strategies import directories, replace
from tests.policy.test_property import PLAIN, reference_and_caller
from tests.realtime.test_delivery_property import Feed, Sink, changed, difference, query_of, shown

IP = "10.1.0.1"


class Subscriber:
    """A user with a subscription to the fields that it may read, and what it has shown."""

    def __init__(self, system, name, tables, user):
        reference, self.caller = reference_and_caller(tables, user, IP)
        self.system, self.name, self.user, self.sink = system, name, user, Sink()
        self.fields = [field for field in PLAIN[name] if reference.allowed(name, field)]

    async def subscribe(self, hub):
        """Return whether the subscription is accepted."""
        if "id" not in self.fields:
            return False
        self.member = await hub.join(self.caller, self.sink.end)
        try:
            await hub.subscribe(
                self.member, await query_of(self.system, self.name, self.fields, self.caller), self.sink
            )
        except RollcallError:
            return False
        return not self.member.access.admin

    async def shows(self):
        return await shown(self.system, self.name, self.fields, self.caller)


@pytest.mark.one_database
@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
async def test_subscribers_who_share_statements_are_sent_what_each_of_them_may_see(scratch_db, data):
    name = data.draw(st.sampled_from(["users", "roles"]))
    tables, _ = data.draw(directories())
    await replace(scratch_db, tables)
    hub = RealtimeHub(scratch_db.services)
    feed = Feed(hub)
    await feed.start()
    first = await hub.join(reference_and_caller(tables, None, IP)[1], lambda _: None)
    await feed.deliver()
    found = [Subscriber(scratch_db, name, tables, user) for user in [*tables["users"], None]]
    subscribers = [subscriber for subscriber in found if await subscriber.subscribe(hub)]
    batches = {view.query.shape.batch for view in hub._views}
    event(f"{len(subscribers)} subscribers, {len(hub._views)} views, {len(batches)} statements")
    for _ in range(2):
        before = [await subscriber.shows() for subscriber in subscribers]
        tables = data.draw(changed(tables, None))
        await replace(scratch_db, tables)
        await feed.deliver()
        for subscriber, shown_before in zip(subscribers, before, strict=True):
            await check(subscriber, shown_before)
        subscribers = [subscriber for subscriber in subscribers if subscriber.sink.error is None]
    hub.leave(first)


async def check(subscriber, before):
    """Check what a subscriber was sent; its subscription has ended if it may no longer read, or is gone."""
    if subscriber.sink.error is not None:
        subscriber.sink.take()
        return
    after = await subscriber.shows()
    assert after is not None
    assert sorted(map(tuple, subscriber.sink.take()), key=repr) == difference(before, after)
