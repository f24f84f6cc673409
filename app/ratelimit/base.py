"""The interface of rate-limit counters."""

from collections.abc import Callable
from typing import Protocol

from limits import RateLimitItem

Rate = RateLimitItem
"""A number of requests within a number of seconds."""
MonotonicClock = Callable[[], float]
"""Returns seconds since an arbitrary point in time."""


class CounterBackend(Protocol):
    """Counts hits in fixed windows."""

    async def hit(self, rate: Rate, *subject: str) -> float | None:
        """Count a hit of a subject; return None, or the seconds until the window ends if the hit exceeds the rate."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether a server counts for all processes."""
        ...

    async def accepts_writes(self) -> bool:
        """Return whether the backend counts."""
        ...

    async def dispose(self) -> None:
        """Close the connections to the backend's server, if it has one."""
        ...
