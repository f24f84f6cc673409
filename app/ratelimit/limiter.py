"""How often somebody may ask: what is asked is counted in windows of time, in memory, or in Redis for all processes."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol, Self

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter

from app.core.cache import LRUCache
from app.core.clock import Clock, utc_now
from app.core.config import ConfigurationError, Settings
from app.core.errors import RequestsExceeded
from app.core.ip_addresses import rate_limit_network

MOST = 65_536
"""Windows that are kept in memory at once; beyond that those are forgotten that nobody asked in for longest."""
PATIENCE = 0.5
"""Seconds that Redis may take to answer."""
PAUSE = 0.5
"""Seconds after which is looked again whether Redis is back."""
CONNECTIONS = 32
NOWHERE = "nowhere"
"""Stands for those whose address isn't known; they count as one."""
NOTHING = (0, 0.0)

Rate = RateLimitItem
"""So many in so many seconds."""
MonotonicClock = Callable[[], float]
"""Tells seconds, from whenever."""

log = structlog.get_logger(__name__)


class CounterBackend(Protocol):
    """Whoever counts."""

    async def hit(self, rate: Rate, *who: str) -> float | None:
        """Counts one more; seconds until it may be tried again where that is one too many, else None."""
        ...

    async def dispose(self) -> None:
        """Lets go of what was opened."""
        ...


class RateLimiter:
    """How often requests may come, each rate counted by itself; where none is set, nothing is.

    A window begins with the first that is counted in it. What is one too many is refused until its end, and doesn't
    put that off. Addresses of IPv6 count by the network that one client has to itself.
    """

    def __init__(self, counts: CounterBackend, rates: dict[str, Rate], clock: Clock = utc_now) -> None:
        self._counts, self._clock = counts, clock
        self.client, self.everybody, self._registrations = map(rates.get, ("client", "everybody", "registrations"))

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock = utc_now, tick: MonotonicClock = time.monotonic) -> Self:
        """Those that the settings give, not yet connected; BadSettings for an address where no Redis can be."""
        on = configured_rates(settings)
        counts: CounterBackend = MemoryBackend(tick)
        if on and settings.rate_limiter_store == "redis":
            counts = RedisBackend(settings.redis, counts)
        return cls(counts, on, clock)

    @property
    def of_requests(self) -> bool:
        """Whether requests are counted at all."""
        return self.client is not None or self.everybody is not None

    async def check_request(self, ip: str | None) -> None:
        """Counts a request from an address; raises RequestsExceeded.

        What an address has too many of isn't counted for all together, so that one can't use up what is for everybody.
        """
        if self.client is not None:
            await self._count(self.client, rate_limit_network(ip) or NOWHERE)
        if self.everybody is not None:
            await self._count(self.everybody)

    async def check_registration(self, ip: str | None) -> None:
        """Counts a registration from an address; raises RequestsExceeded."""
        if self._registrations is not None:
            await self._count(self._registrations, rate_limit_network(ip) or NOWHERE)

    async def dispose(self) -> None:
        """Closes the connections to Redis; the next request opens new ones."""
        await self._counts.dispose()

    async def _count(self, rate: Rate, *who: str) -> None:
        left = await self._counts.hit(rate, *who)
        if left is not None:
            raise RequestsExceeded(rate.amount, self._clock() + timedelta(seconds=left), max(round(left), 1))


def configured_rates(settings: Settings) -> dict[str, Rate]:
    """The rates that are on, by what they count."""
    told = {
        "client": (settings.rate_limiter_enabled, settings.rate_limiter_points, settings.rate_limiter_duration),
        "everybody": (
            settings.rate_limiter_global_enabled,
            settings.rate_limiter_global_points,
            settings.rate_limiter_global_duration,
        ),
        "registrations": (
            settings.rate_limiter_registration_enabled,
            settings.rate_limiter_registration_points,
            settings.rate_limiter_registration_duration,
        ),
    }
    return {name: RateLimitItemPerSecond(points, seconds, name) for name, (on, points, seconds) in told.items() if on}


def is_per_process(settings: Settings) -> bool:
    """Whether several processes would each allow as much as one."""
    return settings.rate_limiter_store == "memory" and bool(configured_rates(settings))


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


class RedisBackend:
    """Counts in Redis, for all processes that do; in memory while that is away, or too slow, and by itself back."""

    def __init__(self, address: str, meanwhile: CounterBackend) -> None:
        # It takes a tenth of a second to import, which those who don't use it needn't wait for.
        from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415  # as said
        from redis.asyncio.retry import Retry  # noqa: PLC0415  # as said
        from redis.backoff import NoBackoff  # noqa: PLC0415  # as said
        from redis.exceptions import RedisError  # noqa: PLC0415  # as said

        try:
            pool = BlockingConnectionPool.from_url(
                address, max_connections=CONNECTIONS, timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
            )
        except ValueError:
            raise ConfigurationError("REDIS: should be like redis://127.0.0.1:6379") from None
        told: dict[str, Any] = {"implementation": "redispy", "key_prefix": "rollcall", "connection_pool": pool}
        self._storage = RedisStorage("redis://", **told)
        self._limiter, self._meanwhile = FixedWindowRateLimiter(self._storage), meanwhile
        self._redis = Redis(connection_pool=pool)
        self._failures = (RedisError, OSError, TimeoutError)
        self._looking: asyncio.Task[None] | None = None

    async def hit(self, rate: Rate, *who: str) -> float | None:
        if self._looking is None:
            try:
                async with asyncio.timeout(PATIENCE):
                    return await self._hit(rate, *who)
            except self._failures as error:
                self._lost(error)
        return await self._meanwhile.hit(rate, *who)

    async def dispose(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._redis.connection_pool.disconnect()

    async def _hit(self, rate: Rate, *who: str) -> float | None:
        if await self._limiter.hit(rate, *who):
            return None
        key = self._storage.bridge.prefixed_key(rate.key_for(*who))
        left: int = await self._redis.pttl(key)  # the library's own knows whole seconds only
        return max(left, 0) / 1000

    def _lost(self, error: Exception) -> None:
        if self._looking is None:  # of many that find it away at once, one says so
            log.warning("redis_away", error=type(error).__name__, hint="Each process counts for itself meanwhile")
            self._looking = asyncio.ensure_future(self._until_back())

    async def _until_back(self) -> None:
        try:
            while True:
                await asyncio.sleep(PAUSE)
                if await self._counts():
                    log.info("redis_back")
                    return
        finally:
            self._looking = None

    async def _counts(self) -> bool:
        """Whether it takes a count: one that only answers, but can't be written to, isn't back."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._storage.incr("probe", 1)
        except self._failures:
            return False
        return True
