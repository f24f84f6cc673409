"""The windows of the rate limiter in this process' memory."""

from limits.aio.storage import Storage

from app.core.cache import LRUCache
from app.ratelimit.base import MonotonicClock

MAX_WINDOWS = 65_536
"""Windows stored at once; beyond that, those that have not been counted in for longest are dropped."""
EMPTY_WINDOW = (0, 0.0)


class BoundedMemoryStorage(Storage):
    """Windows in memory, at most `MAX_WINDOWS`. `limits`' own storage is unbounded and sweeps often."""

    STORAGE_SCHEME = None

    def __init__(self, monotonic: MonotonicClock) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._windows: LRUCache[str, tuple[int, float]] = LRUCache(MAX_WINDOWS)

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        count, ends = self._window(key)
        window = (count + amount, ends if count else self._monotonic() + expiry)
        return self._windows.set(key, window)[0]

    async def get(self, key: str) -> int:
        return self._window(key)[0]

    async def get_expiry(self, key: str) -> float:
        return self._window(key)[1] or self._monotonic()

    async def check(self) -> bool:
        return True

    async def reset(self) -> int:
        count, self._windows = len(self._windows), LRUCache(MAX_WINDOWS)
        return count

    async def clear(self, key: str) -> None:
        self._windows.discard(key)

    def _window(self, key: str) -> tuple[int, float]:
        """Return a window's count and when it ends; `EMPTY_WINDOW` if it has ended."""
        window = self._windows.get(key, EMPTY_WINDOW)
        return window if window[1] > self._monotonic() else EMPTY_WINDOW
