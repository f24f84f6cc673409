"""A look now and then at what is running, for a server that hangs so badly that it doesn't stop a statement itself."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

EVERY_SECONDS = 1.0


class Watchdog(Generic[T]):
    """Calls `over` for whatever was begun more than `seconds` ago and isn't done yet.

    One look a second at everything costs less than a timer for each statement, of which nearly none is ever needed.
    """

    def __init__(self, seconds: float, over: Callable[[T], None]) -> None:
        self._seconds, self._over = seconds, over
        self._begun: dict[T, float] = {}
        self._next: asyncio.TimerHandle | None = None

    def track(self, thing: T) -> None:
        """Something starts to run."""
        self._begun[thing] = time.monotonic()
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.call_later(EVERY_SECONDS, self._look, loop)

    def untrack(self, thing: T) -> None:
        """It ended, one way or another."""
        del self._begun[thing]

    def stop(self) -> None:
        """No more looks."""
        if self._next is not None:
            self._next.cancel()
        self._next = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        late = time.monotonic() - self._seconds
        for thing in [thing for thing, begun in self._begun.items() if begun < late]:
            self._over(thing)
        self._next = loop.call_later(EVERY_SECONDS, self._look, loop) if self._begun else None
