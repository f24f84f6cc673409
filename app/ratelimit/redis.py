"""Rate-limit counters in Redis, shared by every process; in memory while Redis is unavailable."""

import asyncio
from typing import Any

import structlog
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter

from app.core.config import ConfigurationError
from app.ratelimit.base import CounterBackend, Rate

PATIENCE = 0.5
"""Seconds that Redis may take to answer."""
PAUSE = 0.5
"""Seconds after which is looked again whether Redis is back."""
CONNECTIONS = 32

log = structlog.get_logger(__name__)


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
