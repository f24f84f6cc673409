"""Remembers who has just written, so that their reads go to the primary until every replica in use has the write."""

import asyncio
import time
from typing import Protocol

import structlog

from app.core.config import ConfigurationError, Settings
from app.db.resource_pool import Owner

MAX_OWNERS = 10_000
"""Owners that a process remembers; with more, all reads go to the primary for a while."""
REDIS_TIMEOUT_SECONDS = 0.25
REDIS_CONNECTIONS = 32
KEY_PREFIX = "rollcall:wrote:"

log = structlog.get_logger(__name__)


class RecentWriters(Protocol):
    """Who has written within a number of seconds."""

    async def add(self, owner: Owner, seconds: float) -> None:
        """Remember that an owner has written, for so many seconds."""
        ...

    async def contains(self, owner: Owner) -> bool:
        """Return whether an owner has written; True if that is unknown."""
        ...

    async def dispose(self) -> None:
        """Close connections that are not in use."""
        ...


class LocalWriters:
    """Remembers the writers of this process."""

    def __init__(self) -> None:
        self._until: dict[Owner, float] = {}
        self._all_until = 0.0

    def remember(self, owner: Owner, seconds: float) -> None:
        """Do what `add` does."""
        now = time.monotonic()
        if len(self._until) >= MAX_OWNERS:
            self._until = {key: until for key, until in self._until.items() if until > now}
            if len(self._until) >= MAX_OWNERS:
                self._all_until = max(self._all_until, *self._until.values())
                self._until = {}
        self._until[owner] = max(now + seconds, self._until.get(owner, 0.0))

    def remembers(self, owner: Owner) -> bool:
        """Do what `contains` does."""
        until = max(self._until.get(owner, 0.0), self._all_until)
        return until > 0 and time.monotonic() < until

    async def add(self, owner: Owner, seconds: float) -> None:
        """Remember that an owner has written, for so many seconds."""
        self.remember(owner, seconds)

    async def contains(self, owner: Owner) -> bool:
        """Return whether an owner has written."""
        return self.remembers(owner)

    async def dispose(self) -> None:
        """Do nothing."""


class RedisWriters:
    """Remembers the writers of all processes in Redis. While that is unavailable, everyone counts as a writer.

    Raises:
        ConfigurationError: The URL is not one of Redis. The message does not quote it, as it may hold a password.
    """

    def __init__(self, url: str) -> None:
        # Importing redis takes a tenth of a second, which is spent only if it is used.
        from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415  # see above
        from redis.exceptions import RedisError  # noqa: PLC0415  # see above

        try:
            pool = BlockingConnectionPool.from_url(
                url, max_connections=REDIS_CONNECTIONS, timeout=REDIS_TIMEOUT_SECONDS
            )
        except ValueError:
            raise ConfigurationError("REDIS: should be like redis://127.0.0.1:6379") from None
        self._redis, self._errors = Redis(connection_pool=pool), (RedisError, OSError, TimeoutError)
        self._local = LocalWriters()

    async def add(self, owner: Owner, seconds: float) -> None:
        """Remember that an owner has written, for so many seconds."""
        self._local.remember(owner, seconds)
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                await self._redis.set(f"{KEY_PREFIX}{owner}", 1, px=int(seconds * 1000))
        except self._errors as error:
            log.warning("redis_unavailable", error=type(error).__name__)

    async def contains(self, owner: Owner) -> bool:
        """Return whether an owner has written; True if Redis does not answer."""
        if self._local.remembers(owner):
            return True
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                return bool(await self._redis.exists(f"{KEY_PREFIX}{owner}"))
        except self._errors:
            self._local.remember(owner, REDIS_TIMEOUT_SECONDS)  # so that not every read waits for Redis
            return True

    async def dispose(self) -> None:
        """Close the connections to Redis."""
        await self._redis.aclose()


def create_recent_writers(settings: Settings) -> RecentWriters:
    """Return the memory that the processes share if they share their rate limits, else that of this process.

    Raises:
        ConfigurationError: REDIS is not a URL of Redis.
    """
    return RedisWriters(settings.redis) if settings.rate_limiter_store == "redis" else LocalWriters()
