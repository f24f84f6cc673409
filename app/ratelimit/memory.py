"""Rate-limit counters in this process' memory."""

import time
from functools import cached_property
from typing import TYPE_CHECKING

from app.ratelimit.base import MonotonicClock, Rate

if TYPE_CHECKING:
    from limits.aio.strategies import FixedWindowRateLimiter

    from app.ratelimit.memory_storage import BoundedMemoryStorage


class MemoryBackend:
    """Counts in this process."""

    is_shared = False

    def __init__(self, monotonic: MonotonicClock = time.monotonic) -> None:
        self._monotonic = monotonic

    async def hit(self, rate: Rate, *subject: str) -> float | None:
        if await self._limiter.hit(rate.item, *subject):
            return None
        return await self._storage.get_expiry(rate.item.key_for(*subject)) - self._monotonic()

    async def accepts_writes(self) -> bool:
        return True

    async def dispose(self) -> None:
        """Do nothing: memory has no connections."""

    @cached_property
    def _storage(self) -> "BoundedMemoryStorage":
        from app.ratelimit.memory_storage import BoundedMemoryStorage  # noqa: PLC0415  # see Rate.item

        return BoundedMemoryStorage(self._monotonic)

    @cached_property
    def _limiter(self) -> "FixedWindowRateLimiter":
        from limits.aio.strategies import FixedWindowRateLimiter  # noqa: PLC0415  # as above

        return FixedWindowRateLimiter(self._storage)
