"""Rate-limit counters in this process' memory."""

import time

from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter

from app.core.cache import LRUCache
from app.ratelimit.base import MonotonicClock, Rate

MOST = 65_536
"""Windows that are kept in memory at once; beyond that those are forgotten that nobody asked in for longest."""
NOTHING = (0, 0.0)


class MemoryBackend:
    """Counts in this process."""

    def __init__(self, tick: MonotonicClock = time.monotonic) -> None:
        self._tick, self._memory = tick, BoundedMemoryStorage(tick)
        self._limiter = FixedWindowRateLimiter(self._memory)

    async def hit(self, rate: Rate, *who: str) -> float | None:
        if await self._limiter.hit(rate, *who):
            return None
        return await self._memory.get_expiry(rate.key_for(*who)) - self._tick()

    async def dispose(self) -> None:
        """There is nothing to let go of."""


class BoundedMemoryStorage(Storage):
    """Windows in memory, so many at most; the library's own keeps as many as there are addresses, and sweeps often."""

    STORAGE_SCHEME = None

    def __init__(self, tick: MonotonicClock) -> None:
        super().__init__()
        self._tick = tick
        self._windows: LRUCache[str, tuple[int, float]] = LRUCache(MOST)

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        count, ends = self._window(key)
        window = (count + amount, ends if count else self._tick() + expiry)
        return self._windows.set(key, window)[0]

    async def get(self, key: str) -> int:
        return self._window(key)[0]

    async def get_expiry(self, key: str) -> float:
        return self._window(key)[1] or self._tick()

    async def check(self) -> bool:
        return True

    async def reset(self) -> int:
        count, self._windows = len(self._windows), LRUCache(MOST)
        return count

    async def clear(self, key: str) -> None:
        self._windows.discard(key)

    def _window(self, key: str) -> tuple[int, float]:
        """How many there are in a window that isn't over, and when it will be."""
        window = self._windows.get(key, NOTHING)
        return window if window[1] > self._tick() else NOTHING
