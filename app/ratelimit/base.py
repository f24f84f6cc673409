"""The interface of rate-limit counters."""

from collections.abc import Callable
from typing import Protocol

from limits import RateLimitItem

Rate = RateLimitItem
"""So many in so many seconds."""
MonotonicClock = Callable[[], float]
"""Tells seconds, from whenever."""


class CounterBackend(Protocol):
    """Whoever counts."""

    async def hit(self, rate: Rate, *who: str) -> float | None:
        """Counts one more; seconds until it may be tried again where that is one too many, else None."""
        ...

    async def dispose(self) -> None:
        """Lets go of what was opened."""
        ...
