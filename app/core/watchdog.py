"""A watchdog: reports what has been running for too long, for little more than an entry in a dictionary."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

POLL_INTERVAL_SECONDS = 1.0


class Watchdog(Generic[T]):
    """Calls `on_timeout` with every tracked item that has been running for more than `seconds`, once per check.

    One check per `interval` seconds of all items is cheaper than a timer for each, as almost none ever fires.
    """

    def __init__(self, seconds: float, on_timeout: Callable[[T], None], interval: float | None = None) -> None:
        self._seconds, self._on_timeout = seconds, on_timeout
        self._interval = POLL_INTERVAL_SECONDS if interval is None else interval
        self._started: dict[T, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def track(self, item: T) -> None:
        """Start to watch an item."""
        self._started[item] = time.monotonic()
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._interval, self._check, loop)

    def untrack(self, item: T) -> None:
        """Stop watching an item, whether or not it timed out."""
        del self._started[item]

    def seconds_running(self, item: T) -> float:
        """Return how long a tracked item has been running."""
        return time.monotonic() - self._started[item]

    def stop(self) -> None:
        """Stop checking until the next item is tracked."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        latest_start = time.monotonic() - self._seconds
        for item in [item for item, started in self._started.items() if started < latest_start]:
            self._on_timeout(item)
        self._timer = loop.call_later(self._interval, self._check, loop) if self._started else None
