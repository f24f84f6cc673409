"""What is told of things that run too long."""

import asyncio

from app.db import watchdog
from app.db.watchdog import Watchdog


async def test_what_runs_too_long_is_over_and_what_ended_in_time_is_not(monkeypatch):
    monkeypatch.setattr(watchdog, "EVERY_SECONDS", 0.01)
    over: list[str] = []
    watched = Watchdog(0.03, over.append)
    for name in ("quick", "slow"):
        watched.track(name)
    watched.untrack("quick")
    await asyncio.sleep(0.1)
    watched.untrack("slow")

    assert set(over) == {"slow"}


async def test_nobody_looks_where_nothing_runs(monkeypatch):
    monkeypatch.setattr(watchdog, "EVERY_SECONDS", 0.01)
    over: list[str] = []
    watched = Watchdog(0, over.append)
    watched.track("one")
    watched.untrack("one")
    await asyncio.sleep(0.05)
    watched.track("two")
    watched.stop()
    await asyncio.sleep(0.05)

    assert over == []
