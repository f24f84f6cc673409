"""A pool never lends more than it has, nor too much to one owner, and loses nothing when a waiter gives up."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ServiceUnavailable
from app.db import resource_pool
from app.db.resource_pool import ResourcePool

LONG_SECONDS = 60.0


def create_pool(size=1, max_waiting=10, timeout=LONG_SECONDS, reserved=0):
    limits = {"max_waiting": max_waiting, "timeout": timeout, "reserved": reserved}
    return ResourcePool(range(1, size + 1), **limits, exhausted="busy")


async def start_waiting(pool, owner=None):
    task = asyncio.ensure_future(pool.acquire(owner))
    await asyncio.sleep(0)
    return task


async def test_the_longest_waiter_is_next_and_nobody_overtakes_it():
    pool = create_pool()
    resource = pool.acquire_nowait()
    first, second = await start_waiting(pool), await start_waiting(pool)
    pool.release(resource)
    assert pool.acquire_nowait() is None

    assert await first is resource
    assert not second.done()
    pool.release(resource)
    assert await second is resource
    pool.release(resource)
    assert pool.acquire_nowait() is resource


async def test_a_full_queue_rejects_at_once():
    pool = create_pool(max_waiting=1)
    resource = pool.acquire_nowait()
    task = await start_waiting(pool)
    with pytest.raises(ServiceUnavailable):
        await pool.acquire()
    pool.release(resource)
    await task


async def test_a_waiter_that_times_out_makes_room_in_the_queue():
    pool = create_pool(max_waiting=1, timeout=0.01)
    resource = pool.acquire_nowait()
    for _ in range(3):
        with pytest.raises(ServiceUnavailable):
            await pool.acquire()
    pool.release(resource)

    assert pool.acquire_nowait() is resource


async def test_a_resource_handed_to_a_waiter_cancelled_at_that_moment_goes_to_the_next():
    pool = create_pool()
    resource = pool.acquire_nowait()
    cancelled, waiting = await start_waiting(pool), await start_waiting(pool)
    pool.release(resource)
    cancelled.cancel()

    assert await waiting is resource
    assert cancelled.cancelled()
    assert pool.acquire_nowait() is None


async def test_what_is_reserved_is_for_owners_that_use_nothing_yet():
    pool = create_pool(size=3, reserved=1)
    used = [pool.acquire_nowait("eve"), pool.acquire_nowait("eve")]
    assert pool.acquire_nowait("eve") is None

    waiting = await start_waiting(pool, "eve")
    other = pool.acquire_nowait("ada")
    assert other is not None
    assert pool.acquire_nowait("ada") is None
    pool.release(other, "ada")
    await asyncio.sleep(0)
    assert not waiting.done()
    pool.release(used[0], "eve")
    assert await waiting is used[0]


async def test_uses_without_an_owner_are_not_limited():
    pool = create_pool(size=3, reserved=2)

    assert None not in {pool.acquire_nowait() for _ in range(3)}


async def test_owners_take_turns():
    pool = create_pool(size=1)
    resource = pool.acquire_nowait("bo")
    eves = [await start_waiting(pool, "eve") for _ in range(3)]
    adas = [await start_waiting(pool, "ada") for _ in range(2)]

    served = []
    for owner, task in zip(
        ["bo", "eve", "ada", "eve", "ada"], [eves[0], adas[0], eves[1], adas[1], eves[2]], strict=True
    ):
        pool.release(resource, owner)
        served.append(await task)
    assert served == [resource] * 5


async def test_an_owner_fills_at_most_half_of_the_queue():
    pool = create_pool(max_waiting=4)
    pool.acquire_nowait("eve")
    for _ in range(2):
        await start_waiting(pool, "eve")
    with pytest.raises(ServiceUnavailable):
        await pool.acquire("eve")

    await start_waiting(pool, "ada")
    await start_waiting(pool)
    with pytest.raises(ServiceUnavailable):
        await pool.acquire("bo")


async def test_a_limited_owner_uses_an_eighth_and_the_others_do_not_notice():
    pool = create_pool(size=16)
    used = [pool.acquire_nowait("eve") for _ in range(3)]
    pool.limit("eve")
    waiting = await start_waiting(pool, "eve")
    assert pool.acquire_nowait("eve") is None
    assert None not in [pool.acquire_nowait("ada") for _ in range(10)]

    pool.release(used[0], "eve")
    assert not waiting.done()
    pool.release(used[1], "eve")
    assert await waiting is not None


async def test_all_waiters_are_served_when_the_limit_of_their_owner_has_ended(monkeypatch):
    monkeypatch.setattr(resource_pool, "LIMITED_SECONDS", 0.01)
    pool = create_pool(size=8)
    used = pool.acquire_nowait("eve")
    pool.limit("eve")
    waiting = [await start_waiting(pool, "eve") for _ in range(4)]
    await asyncio.sleep(0.02)
    pool.release(used, "eve")

    assert len({await task for task in waiting}) == 4


async def test_uses_without_an_owner_are_not_limited_because_of_slow_ones():
    pool = create_pool(size=8)
    pool.acquire_nowait()
    pool.limit(None)

    assert None not in [pool.acquire_nowait() for _ in range(7)]


OWNERS = (None, "ada", "eve")


class Borrowers:
    """Borrows from a pool, and checks after each loan that no more is lent than there is, or than an owner may use."""

    def __init__(self, size, reserved):
        self.size, self.reserved, self.borrowed = size, reserved, []
        self.pool = create_pool(size, max_waiting=100, reserved=reserved)

    async def borrow(self, owner):
        self.borrowed.append((self.pool.acquire_nowait(owner) or await self.pool.acquire(owner), owner))
        assert len({resource for resource, _ in self.borrowed}) == len(self.borrowed) <= self.size
        for name in OWNERS[1:]:
            assert [owner for _, owner in self.borrowed].count(name) <= max(1, self.size - self.reserved)

    def give_back(self):
        if self.borrowed:
            self.pool.release(*self.borrowed.pop())


async def run_steps(borrowers, steps):
    tasks = []
    for step, index in steps:
        if step == "borrow":
            tasks.append(asyncio.ensure_future(borrowers.borrow(OWNERS[index % len(OWNERS)])))
        elif step == "cancel" and tasks:
            tasks[index % len(tasks)].cancel()
        elif step == "give back":
            borrowers.give_back()
        else:
            await asyncio.sleep(0)
    for _ in range(3 * len(tasks) + 3):
        await asyncio.sleep(0)
        borrowers.give_back()
    return await asyncio.gather(*tasks, return_exceptions=True)


STEPS = st.tuples(st.sampled_from(("borrow", "give back", "cancel", "run the loop")), st.integers(0, 9))


@given(st.integers(1, 4), st.integers(0, 4), st.lists(STEPS))
def test_never_more_is_lent_than_there_is_and_nothing_is_lost(size, reserved, steps):
    async def story():
        borrowers = Borrowers(size, reserved)
        results = await run_steps(borrowers, steps)

        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        assert {borrowers.pool.acquire_nowait() for _ in range(size)} == {*range(1, size + 1)}
        assert borrowers.pool.acquire_nowait() is None

    asyncio.run(story())
