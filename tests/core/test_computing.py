"""A computing thread lets the event loop in soon, and only while it computes."""

import asyncio
import sys
from threading import Event

import pytest

from app.core.computing import SWITCH_SECONDS, compute_in_thread, computing
from app.db.planning_thread import PlanningThread


@pytest.fixture
def usual():
    """The usual interval, which applies again after the test."""
    before = sys.getswitchinterval()
    yield before
    assert sys.getswitchinterval() == before


async def test_threads_switch_more_often_while_one_computes(usual):
    seen = [await compute_in_thread(sys.getswitchinterval), sys.getswitchinterval()]

    assert seen == pytest.approx([SWITCH_SECONDS, usual])
    assert usual > SWITCH_SECONDS


async def test_plans_are_made_so(usual):
    assert await PlanningThread().run(None, sys.getswitchinterval) == pytest.approx(SWITCH_SECONDS)


async def test_the_last_of_several_restores_the_interval(usual):
    release, started = Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait():
        loop.call_soon_threadsafe(started.set)
        release.wait()

    waiting = asyncio.ensure_future(compute_in_thread(wait))
    await started.wait()
    await compute_in_thread(lambda: None)
    between = sys.getswitchinterval()
    release.set()
    await waiting

    assert between == pytest.approx(SWITCH_SECONDS)


async def test_an_error_restores_the_interval(usual):
    with pytest.raises(ZeroDivisionError), computing():
        raise ZeroDivisionError
