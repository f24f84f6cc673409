"""The interface of rate-limit counters."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from limits import RateLimitItem

MonotonicClock = Callable[[], float]
"""Returns seconds since an arbitrary point in time."""


@dataclass(frozen=True)
class Rate:
    """A number of requests within a number of seconds; those of another name are counted separately."""

    amount: int
    seconds: int
    name: str

    @cached_property
    def item(self) -> "RateLimitItem":
        """The rate as the library of the counters represents it."""
        from limits import RateLimitItemPerSecond  # noqa: PLC0415  # takes 2 MB; by default only registrations count

        return RateLimitItemPerSecond(self.amount, self.seconds, self.name)


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
