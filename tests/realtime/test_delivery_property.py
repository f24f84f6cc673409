"""For random policies, callers and commits, a subscription is sent what querying before and after each commit shows."""

import copy

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.core.errors import RollcallError
from app.flows.realtime.hub import RealtimeHub
from app.repositories.stores.events import EventBatch, EventStore
from tests.policy.strategies import IPS, USERS, directories, replace
from tests.policy.test_property import PLAIN, reference_and_caller

TITLES = st.sampled_from([None, "a", "b", "Ada"])


class Sink:
    """Collects what a subscription is sent."""

    def __init__(self):
        self.changes, self.error = [], None

    def send(self, changes):
        self.changes += changes

    def end(self, error):
        self.error = error

    def take(self):
        changes, self.changes = self.changes, []
        return changes


class Feed:
    """Hands the hub the events since the last call, as the event feed does in the background."""

    def __init__(self, hub):
        self.hub, self.store = hub, EventStore(hub.services)

    async def start(self):
        await self.store.renew_capture()
        self.hub._feed.is_ready = True
        self.position = await self.store.position()
        await self.hub._handle(EventBatch((), self.position))

    async def read(self):
        return await self.store.read(self.position)

    async def deliver(self):
        batch = await self.read()
        await self.hub._handle(batch)
        self.position = batch.position


@st.composite
def changed(draw, tables, user):
    """Draw other tables: some rows changed, one perhaps deleted or back, and perhaps other rights."""
    after = copy.deepcopy(tables)
    for row in after["users"]:
        if draw(st.booleans()):
            row |= {"title": draw(TITLES), "first_name": draw(TITLES)}
    for row in after["roles"]:
        if draw(st.integers(0, 3)) == 3:
            row["name"] = draw(TITLES) or ""
    if draw(st.booleans()):
        gone = draw(st.sampled_from([key for key in USERS if user is None or key != user["id"]]))
        after["users"] = [row for row in after["users"] if row["id"] != gone]
        after["access"] = [row for row in after["access"] if row["user"] != gone]
    if draw(st.integers(0, 2)) == 2:
        after["permissions"].pop(draw(st.integers(0, len(after["permissions"]) - 1)))
    return after


async def shown(system, name, fields, caller):
    """Return what a query shows, by key, without the rows whose key it hides; None if it is refused."""
    result = await system.execute(f"{{ {name}(limit: -1) {{ {' '.join(fields)} }} }}", {}, caller)
    return None if result.errors else {row["id"]: row for row in result.data[name] if row["id"] is not None}


def difference(before, after):
    return sorted(
        [("delete", key, None) for key in before.keys() - after.keys()]
        + [("create", key, after[key]) for key in after.keys() - before.keys()]
        + [("update", key, after[key]) for key in after.keys() & before.keys() if after[key] != before[key]],
        key=repr,
    )


@pytest.mark.one_database
@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
async def test_a_subscription_is_sent_the_difference_that_each_commit_makes(scratch_db, data):
    name = data.draw(st.sampled_from(["users", "roles"]))
    tables, user = data.draw(directories())
    reference, caller = reference_and_caller(tables, user, data.draw(IPS))
    fields = [field for field in PLAIN[name] if reference.allowed(name, field)]
    await replace(scratch_db, tables)
    hub, sink = RealtimeHub(scratch_db.services), Sink()
    feed = Feed(hub)
    await feed.start()
    member = await hub.join(caller, sink.end)
    await feed.deliver()
    try:
        await hub.subscribe(member, await query_of(scratch_db, name, fields, caller), sink)
    except RollcallError:
        event("refused")
        assert "id" not in fields or await shown(scratch_db, name, fields, caller) is None
        return
    if "id" not in fields:
        return
    before = await shown(scratch_db, name, fields, caller)
    for _ in range(3):
        tables = data.draw(changed(tables, user))
        await replace(scratch_db, tables)
        is_admin = member.access.admin
        await feed.deliver()
        after = await shown(scratch_db, name, fields, caller)
        if after is None or is_admin != member.access.admin:
            event("ended")
            assert sink.error is not None
            assert not sink.take()
            return
        sent = sorted(map(tuple, sink.take()), key=repr)
        if is_admin:  # who sees everything is also sent updates of what is not selected
            event("admin")
            sent = [change for change in sent if change in difference(before, after) or change[0] != "update"]
        assert sent == difference(before, after)
        event(f"{min(len(sent), 3)} changes or more")
        before = after


async def query_of(system, name, fields, caller):
    """Return the builder of the query of a subscription to these fields."""
    collection = system.services.registry[f"directus_{name}"]
    parser = system.directory(caller)[name]
    return lambda access: parser._parse_query(access, {"fields": fields or ["id"]}) if collection else None
