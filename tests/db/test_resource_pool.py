"""A pool never lends more resources than it has, serves waiters in order, and loses nothing when one gives up."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ServiceUnavailable
from app.db.resource_pool import ResourcePool

LONG_SECONDS = 60.0


def create_pool(size=1, max_waiting=10, timeout=LONG_SECONDS):
    return ResourcePool(range(1, size + 1), max_waiting=max_waiting, timeout=timeout)


async def start_waiting(pool):
    task = asyncio.ensure_future(pool.acquire())
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


class Borrowers:
    """Borrows from a pool, and checks after each loan that no more is lent than there is."""

    def __init__(self, size):
        self.size, self.pool, self.borrowed = size, create_pool(size, max_waiting=100), []

    async def borrow(self):
        self.borrowed.append(self.pool.acquire_nowait() or await self.pool.acquire())
        assert len(set(self.borrowed)) == len(self.borrowed) <= self.size

    def give_back(self):
        if self.borrowed:
            self.pool.release(self.borrowed.pop())


async def run_steps(borrowers, steps):
    tasks = []
    for step, index in steps:
        if step == "borrow":
            tasks.append(asyncio.ensure_future(borrowers.borrow()))
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


@given(st.integers(1, 3), st.lists(STEPS))
def test_never_more_is_lent_than_there_is_and_nothing_is_lost(size, steps):
    async def story():
        borrowers = Borrowers(size)
        results = await run_steps(borrowers, steps)

        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        assert {borrowers.pool.acquire_nowait() for _ in range(size)} == {*range(1, size + 1)}
        assert borrowers.pool.acquire_nowait() is None

    asyncio.run(story())
