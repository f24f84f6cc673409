"""Rate-limit counters in Redis, shared by every process; in memory while Redis is unavailable."""

import asyncio
from typing import Any

import structlog
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.core.config import ConfigurationError
from app.ratelimit.base import CounterBackend, Rate

TIMEOUT_SECONDS = 0.5
"""How long Redis may take to answer."""
RETRY_INTERVAL_SECONDS = 0.5
"""How often an unavailable Redis is tried again."""
MAX_CONNECTIONS = 32

log = structlog.get_logger(__name__)


class RedisBackend:
    """Counts in Redis. While Redis is unavailable or too slow, a fallback backend counts, until Redis has recovered.

    Raises:
        ConfigurationError: The URL is not one of Redis. The message does not quote it, as it may hold a password.
    """

    is_shared = True

    def __init__(self, url: str, fallback: CounterBackend) -> None:
        try:
            pool = BlockingConnectionPool.from_url(
                url, max_connections=MAX_CONNECTIONS, timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
            )
        except ValueError:
            raise ConfigurationError("REDIS: should be like redis://127.0.0.1:6379") from None
        options: dict[str, Any] = {"implementation": "redispy", "key_prefix": "rollcall", "connection_pool": pool}
        self._storage = RedisStorage("redis://", **options)
        self._limiter, self._fallback = FixedWindowRateLimiter(self._storage), fallback
        self._redis = Redis(connection_pool=pool)
        self._errors = (RedisError, OSError, TimeoutError)
        self._recovery: asyncio.Task[None] | None = None

    async def hit(self, rate: Rate, *subject: str) -> float | None:
        if self._recovery is None:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    return await self._hit(rate, *subject)
            except self._errors as error:
                self._start_recovery(error)
        return await self._fallback.hit(rate, *subject)

    async def dispose(self) -> None:
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)
        await self._redis.connection_pool.disconnect()

    async def _hit(self, rate: Rate, *subject: str) -> float | None:
        if await self._limiter.hit(rate.item, *subject):
            return None
        key = self._storage.bridge.prefixed_key(rate.item.key_for(*subject))
        milliseconds: int = await self._redis.pttl(key)  # the storage's own get_expiry returns whole seconds
        return max(milliseconds, 0) / 1000

    def _start_recovery(self, error: Exception) -> None:
        if self._recovery is None:  # of many requests that fail at once, the first one logs it
            hint = "Each process counts for itself until Redis is available again"
            log.warning("redis_unavailable", error=type(error).__name__, hint=hint)
            self._recovery = asyncio.ensure_future(self._recover())

    async def _recover(self) -> None:
        try:
            while True:
                await asyncio.sleep(RETRY_INTERVAL_SECONDS)
                if await self.accepts_writes():
                    log.info("redis_recovered")
                    return
        finally:
            self._recovery = None

    async def accepts_writes(self) -> bool:
        """Return whether Redis counts. One that answers but rejects writes has not recovered."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._storage.incr("probe", 1)
        except self._errors:
            return False
        return True
