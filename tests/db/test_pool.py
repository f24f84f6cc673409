"""So many at once and never more, in the order they came, whoever gives up meanwhile."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ServiceUnavailable
from app.db.pool import ResourcePool

LONG = 60.0


def places(free=1, queue=10, patience=LONG):
    return ResourcePool(range(1, free + 1), queue=queue, patience=patience)


async def waiting(here):
    task = asyncio.ensure_future(here.wait())
    await asyncio.sleep(0)
    return task


async def test_whoever_waits_for_longest_is_next_and_nobody_passes_him():
    here = places()
    place = here.acquire_nowait()
    first, second = await waiting(here), await waiting(here)
    here.release(place)
    assert here.acquire_nowait() is None

    assert await first is place
    assert not second.done()
    here.release(place)
    assert await second is place
    here.release(place)
    assert here.acquire_nowait() is place


async def test_one_too_many_is_refused_at_once():
    here = places(queue=1)
    place = here.acquire_nowait()
    task = await waiting(here)
    with pytest.raises(ServiceUnavailable):
        await here.acquire()
    here.release(place)
    await task


async def test_who_waits_too_long_is_refused_and_makes_room_in_the_queue():
    here = places(queue=1, patience=0.01)
    place = here.acquire_nowait()
    for _ in range(3):
        with pytest.raises(ServiceUnavailable):
            await here.acquire()
    here.release(place)

    assert here.acquire_nowait() is place


async def test_a_place_given_to_one_who_leaves_at_that_moment_is_the_next_ones():
    here = places()
    place = here.acquire_nowait()
    leaving, staying = await waiting(here), await waiting(here)
    here.release(place)
    leaving.cancel()

    assert await staying is place
    assert leaving.cancelled()
    assert here.acquire_nowait() is None


class Room:
    """Somewhere with so many places, that notices who is in."""

    def __init__(self, free):
        self.free, self.places, self.inside = free, places(free, queue=100), []

    async def come(self):
        self.inside.append(self.places.acquire_nowait() or await self.places.acquire())
        assert len(set(self.inside)) == len(self.inside) <= self.free

    def go(self):
        if self.inside:
            self.places.release(self.inside.pop())


async def lived(room, steps):
    tasks = []
    for step, at in steps:
        if step == "come":
            tasks.append(asyncio.ensure_future(room.come()))
        elif step == "give up" and tasks:
            tasks[at % len(tasks)].cancel()
        elif step == "go":
            room.go()
        else:
            await asyncio.sleep(0)
    for _ in range(3 * len(tasks) + 3):
        await asyncio.sleep(0)
        room.go()
    return await asyncio.gather(*tasks, return_exceptions=True)


STEPS = st.tuples(st.sampled_from(("come", "go", "give up", "let")), st.integers(0, 9))


@given(st.integers(1, 3), st.lists(STEPS))
def test_never_more_are_in_than_there_are_places_and_none_is_lost(free, steps):
    async def story():
        room = Room(free)
        told = await lived(room, steps)

        assert all(one is None or isinstance(one, asyncio.CancelledError) for one in told)
        assert {room.places.acquire_nowait() for _ in range(free)} == {*range(1, free + 1)}
        assert room.places.acquire_nowait() is None

    asyncio.run(story())
