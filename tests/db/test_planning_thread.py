"""Planning runs beside the event loop, in one thread, in which owners take turns."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from app.core.errors import InvalidQuery, ServiceUnavailable
from app.db import planning_thread
from app.db.planning_thread import PlanningThread

WAIT_SECONDS = 30


async def test_the_event_loop_goes_on_while_a_request_is_planned():
    planning, finish = PlanningThread(), threading.Event()
    work = asyncio.ensure_future(planning.run("eve", lambda: finish.wait(WAIT_SECONDS)))
    await asyncio.sleep(0.01)
    assert not work.done()
    finish.set()

    assert await work


async def test_one_request_of_another_owner_is_planned_before_the_queue_of_the_first():
    planning, finish, order = PlanningThread(), threading.Event(), list[str]()
    running = asyncio.ensure_future(planning.run("eve", lambda: finish.wait(WAIT_SECONDS)))
    await asyncio.sleep(0)
    queue = [asyncio.ensure_future(planning.run("eve", lambda: order.append("eve"))) for _ in range(20)]
    await asyncio.sleep(0)
    queue.append(asyncio.ensure_future(planning.run("ada", lambda: order.append("ada"))))
    await asyncio.sleep(0)
    finish.set()
    await asyncio.gather(running, *queue)

    assert order.index("ada") <= 1


async def test_errors_and_the_context_reach_the_thread_and_come_back():
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("of this request")
    planning = PlanningThread()

    def reject():
        raise InvalidQuery(variable.get())

    with pytest.raises(InvalidQuery, match="of this request"):
        await planning.run("eve", reject)
    assert await planning.run("eve", threading.get_ident) != threading.get_ident()


async def test_a_full_queue_rejects_at_once(monkeypatch):
    monkeypatch.setattr(planning_thread, "MAX_WAITING", 1)
    planning, finish = PlanningThread(), threading.Event()
    running = asyncio.ensure_future(planning.run("eve", lambda: finish.wait(WAIT_SECONDS)))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(planning.run("eve", lambda: True))
    await asyncio.sleep(0)
    with pytest.raises(ServiceUnavailable):
        await planning.run("ada", lambda: True)
    finish.set()

    assert all(await asyncio.gather(running, waiting))
