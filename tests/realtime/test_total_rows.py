"""The rows that all subscriptions remember are limited, in total and for each user, who can't take those of others."""

import gc
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from app.core.caller import Caller
from app.core.errors import LimitExceeded, ServiceUnavailable
from app.flows.realtime.hub import RealtimeHub
from app.flows.realtime.view import View
from app.testing import open_system
from tests.base_data import static_token, uid
from tests.realtime.sockets import serving
from tests.realtime.test_delivery_property import Feed, Sink
from tests.realtime.test_directus_messages import USERS, ask, sdk_client
from tests.realtime.test_events import write

VI, ED = Caller(token=static_token("vi")), Caller(token=static_token("ed"))
SEEN = 5
"""How many users Vi sees: those with a title."""


class Subscriber:
    """A member of a hub, and the subscriptions to users that it makes."""

    def __init__(self, system, hub, member):
        self.hub, self.member, self._users = hub, member, system.directory(member.caller)["users"]

    async def subscribe(self, **query):
        sink = Sink()
        build = lambda access: self._users.live_read(access, {"fields": ["id"], **query})  # noqa: E731
        await self.hub.subscribe(self.member, build, sink)
        return sink


class Realtime:
    """A hub without background tasks, its feed and its database."""

    def __init__(self, system):
        self.system, self.hub = system, RealtimeHub(system.services)
        self.budget, self.feed = self.hub._views.budget, Feed(self.hub)

    async def join(self, caller):
        member = await self.hub.join(caller, lambda _: None)
        await self.feed.deliver()
        return Subscriber(self.system, self.hub, member)

    async def add_user(self):
        """Add a user with a title, whom Vi sees."""
        await write(self.system, f"INSERT INTO directus_users (id, title) VALUES ('{uuid4()}', 'New');")
        await self.feed.deliver()

    @property
    def remembered(self):
        """The number of rows that views remember."""
        return sum(len(view.rows) for view in self.hub._views)


@asynccontextmanager
async def limited(db, total, of_one):
    """Open a hub whose views may remember this number of rows in total, and this number for one subscription."""
    limits = {"websockets_max_total_rows": total, "websockets_max_rows": of_one}
    async with open_system(db.settings.model_copy(update=limits)) as system:
        realtime = Realtime(system)
        await realtime.feed.start()
        yield realtime


def other_than(number):
    """Return a filter that all users with a title match."""
    return {"title": {"_neq": f"none has this title {number}"}}


def views_in_memory():
    gc.collect()
    return sum(isinstance(item, View) for item in gc.get_objects())


async def test_many_subscriptions_of_one_user_leave_room_for_others_and_take_no_memory(restored_db):
    async with limited(restored_db, total=100, of_one=10) as realtime:
        vi = await realtime.join(VI)
        await vi.subscribe(filter=other_than(1))
        await vi.subscribe(filter=other_than(2))
        views = views_in_memory()
        for number in range(3, 30):
            with pytest.raises(LimitExceeded):
                await vi.subscribe(filter=other_than(number))
        await vi.subscribe(filter=other_than(1))  # which shows what another one does
        before = realtime.budget.total, realtime.remembered, views_in_memory(), len(realtime.budget.keys._keys)
        ed = await realtime.join(ED)
        await ed.subscribe()

        assert before == (2 * SEEN, 2 * SEEN, views, SEEN)
        assert realtime.budget.total == realtime.remembered > 2 * SEEN


async def test_the_error_names_the_number_and_the_limit(shared_db):
    limits = {"websockets_max_total_rows": 100, "websockets_max_rows": 8}
    async with serving(shared_db.settings, **limits) as server, sdk_client(server, static_token("vi")) as client:
        first, second, third = [
            await ask(client, {**USERS, "uid": number, "query": {"fields": ["id"], "filter": other_than(number)}})
            for number in range(3)
        ]

    assert (first["event"], second["event"]) == ("init", "init")
    assert third["error"] == {
        "code": "LIMIT_EXCEEDED",
        "message": "Rows of a user's subscriptions limit exceeded. With this one, they show 15 rows, and 10 are "
        "allowed; end others or narrow their filters.",
    }


async def test_a_subscription_for_which_no_room_is_left_in_total_is_refused(restored_db):
    async with limited(restored_db, total=SEEN + 1, of_one=10) as realtime:
        vi, ed = await realtime.join(VI), await realtime.join(ED)
        await vi.subscribe()

        with pytest.raises(LimitExceeded, match="the 6 of WEBSOCKETS_MAX_TOTAL_ROWS"):
            await ed.subscribe()
        realtime.hub.leave(vi.member)
        assert realtime.budget.total == 0
        assert len(realtime.hub._views) == 0


@pytest.mark.parametrize(
    ("total", "of_one", "message"),
    [
        (100, SEEN, "more than 5 rows, the most that WEBSOCKETS_MAX_ROWS allows"),
        (20, SEEN + 1, "they show 7 rows, and 6 are allowed"),
        (SEEN + 1, SEEN + 1, "the 6 of WEBSOCKETS_MAX_TOTAL_ROWS"),
    ],
    ids=["one", "user", "total"],
)
async def test_a_view_that_grows_too_large_ends_and_no_other(restored_db, total, of_one, message):
    async with limited(restored_db, total, of_one) as realtime:
        vi = await realtime.join(VI)
        one = await vi.subscribe(filter={"id": {"_eq": uid("ed")}}) if of_one > SEEN else Sink()
        grown = await vi.subscribe()
        await realtime.add_user()

        assert message in grown.error.text
        assert isinstance(grown.error, LimitExceeded)
        assert one.error is None
        assert not grown.changes
        assert realtime.budget.total == realtime.remembered <= 1


async def test_rows_that_leave_a_view_make_room(restored_db):
    async with limited(restored_db, total=SEEN, of_one=SEEN) as realtime:
        vi = await realtime.join(VI)
        await vi.subscribe()
        await write(realtime.system, f"UPDATE directus_users SET title = NULL WHERE id = '{uid('ed')}';")
        await realtime.feed.deliver()
        other = await vi.subscribe(filter={"id": {"_eq": uid("ada")}})

        assert other.error is None
        assert realtime.budget.total == realtime.remembered == SEEN


@pytest.mark.parametrize("is_resumed", [True, False])
async def test_what_a_paused_subscription_remembers_counts_as_well(restored_db, is_resumed):
    async with limited(restored_db, total=1_000, of_one=10) as realtime:
        paused, other = await realtime.join(VI), await realtime.join(VI)
        for subscriber in (paused, other):
            await subscriber.subscribe()
        shared = realtime.budget.total
        realtime.hub.pause(paused.member)
        while_paused = realtime.budget.total
        if is_resumed:
            await realtime.hub.resume(paused.member, VI)
        after = realtime.budget.total
        for subscriber in (paused, other):
            realtime.hub.leave(subscriber.member)

        assert (shared, while_paused, after) == (SEEN, 2 * SEEN, SEEN if is_resumed else 2 * SEEN)
        assert realtime.budget.total == 0
        assert not realtime.budget._holdings


async def test_a_paused_subscription_without_room_has_to_be_made_again(restored_db):
    async with limited(restored_db, total=10, of_one=SEEN) as realtime:
        paused, other = await realtime.join(VI), await realtime.join(VI)
        sinks = [await subscriber.subscribe() for subscriber in (paused, other)]
        realtime.hub.pause(paused.member)
        while_paused = realtime.budget.total
        await realtime.hub.resume(paused.member, VI)

        assert while_paused == SEEN
        assert isinstance(sinks[0].error, ServiceUnavailable)
        assert sinks[1].error is None


async def test_callers_without_a_user_are_counted_by_address(restored_db):
    async with limited(restored_db, total=100, of_one=10) as realtime:
        addresses = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")
        owners = [(await realtime.join(Caller(ip=address))).member.owner for address in addresses]

    assert owners[2] == owners[3]
    assert len(set(owners)) == 3
