"""The watchdog reports what runs too long, and nothing else."""

import asyncio

from app.core import watchdog
from app.core.watchdog import Watchdog


async def test_an_item_that_runs_too_long_is_reported_and_one_that_ended_in_time_is_not(monkeypatch):
    monkeypatch.setattr(watchdog, "POLL_INTERVAL_SECONDS", 0.01)
    reported: list[str] = []
    watched = Watchdog(0.03, reported.append)
    for name in ("quick", "slow"):
        watched.track(name)
    watched.untrack("quick")
    await asyncio.sleep(0.1)
    watched.untrack("slow")

    assert set(reported) == {"slow"}


async def test_nothing_is_reported_after_an_item_ended_or_the_watchdog_stopped(monkeypatch):
    monkeypatch.setattr(watchdog, "POLL_INTERVAL_SECONDS", 0.01)
    reported: list[str] = []
    watched = Watchdog(0, reported.append)
    watched.track("ended")
    watched.untrack("ended")
    await asyncio.sleep(0.05)
    watched.track("stopped")
    watched.stop()
    await asyncio.sleep(0.05)

    assert reported == []
