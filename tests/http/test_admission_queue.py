"""A queue never lets more requests run than it may, nor one client's requests keep another's waiting."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ServiceUnavailable
from app.http.admission_queue import AdmissionQueue, Client

LONG_SECONDS = 60.0
EVE, ADA, BOB = Client("192.0.2.1"), Client("192.0.2.2"), Client("192.0.2.3")


async def start_waiting(queue, *clients):
    tasks = [asyncio.ensure_future(queue.enter(client)) for client in clients]
    await asyncio.sleep(0)
    return tasks


async def test_a_client_without_a_request_runs_although_another_has_all_shared_turns():
    queue = AdmissionQueue(8, 100, LONG_SECONDS)
    queue.running = queue.max_shared

    assert await queue.enter(ADA) == ADA.address
    waiting, *_ = await start_waiting(queue, ADA)
    assert not waiting.done()
    queue.leave(ADA.address)
    assert await waiting == ADA.address


async def test_one_request_of_another_client_is_next_although_a_thousand_of_the_first_wait():
    queue = AdmissionQueue(8, 10_000, LONG_SECONDS)
    queue.running = queue.max_shared
    assert await queue.enter(EVE)
    crowd = await start_waiting(queue, *[EVE] * 1_000)
    (ada,) = await start_waiting(queue, ADA)
    queue.leave(None)
    queue.leave(None)
    await asyncio.sleep(0)

    assert ada.done()
    assert sum(task.done() for task in crowd) == 1
    for task in crowd:
        task.cancel()


async def test_credentials_at_one_address_take_turns():
    queue = AdmissionQueue(8, 100, LONG_SECONDS)
    queue.running = queue.max_shared
    assert await queue.enter(EVE)
    eve = Client(EVE.address, b"Bearer eve")
    crowd = await start_waiting(queue, *[eve] * 10)
    (colleague,) = await start_waiting(queue, Client(EVE.address, b"Bearer ada"))
    queue.leave(None)
    queue.leave(None)
    await asyncio.sleep(0)

    assert colleague.done()
    for task in crowd:
        task.cancel()


async def test_one_address_fills_half_of_the_queue_and_the_rest_is_for_others():
    queue = AdmissionQueue(8, 8, LONG_SECONDS)
    queue.running = queue.max_shared
    assert await queue.enter(EVE)
    waiting = await start_waiting(queue, *(Client(EVE.address, bytes([number])) for number in range(4)))
    with pytest.raises(ServiceUnavailable):
        await queue.enter(Client(EVE.address, b"another"))
    others = await start_waiting(queue, ADA, ADA, BOB)

    assert not any(task.done() for task in (*waiting, *others))
    assert queue.waiting == 7
    for task in (*waiting, *others):
        task.cancel()


async def test_a_wait_that_takes_too_long_ends_and_leaves_no_trace():
    queue = AdmissionQueue(8, 2, 0.01)
    queue.running = queue.max_shared
    assert await queue.enter(EVE)
    with pytest.raises(ServiceUnavailable):
        await queue.enter(EVE)
    queue.leave(None)

    assert (queue.waiting, queue.running) == (0, queue.max_shared - 1)


async def take_results(tasks):
    """Remove the tasks that have ended, and return what those returned that got a turn."""
    for _ in range(3):
        await asyncio.sleep(0)
    ended = [task for task in tasks if task.done()]
    tasks[:] = [task for task in tasks if not task.done()]
    return [task.result() for task in ended if not task.cancelled() and task.exception() is None]


@given(st.integers(2, 12), st.lists(st.tuples(st.integers(0, 3), st.sampled_from((EVE, ADA, BOB))), max_size=60))
async def test_no_turn_is_lost_or_given_twice(max_running, steps):
    """Steps: 0 and 1 send a request, 2 ends one that runs, 3 cancels one, whether it runs or waits."""
    queue, tasks, running = (
        AdmissionQueue(max_running, 20, LONG_SECONDS),
        list[asyncio.Task[str | None]](),
        list[str | None](),
    )
    for step, client in steps:
        if step < 2 and queue.running < queue.max_shared:
            queue.running += 1
            running.append(None)
        elif step < 2:
            tasks.append(asyncio.ensure_future(queue.enter(client)))
        elif step == 2 and running:
            queue.leave(running.pop(0))
        elif step == 3 and tasks:
            tasks[0].cancel()
        running += await take_results(tasks)
        assert queue.in_use == len(running) <= max(max_running, 2)
        assert queue.waiting == len(tasks)
        assert not tasks or queue.running == queue.max_shared
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for reserved_for in running:
        queue.leave(reserved_for)

    assert (queue.in_use, queue.waiting) == (0, 0)
