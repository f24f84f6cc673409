"""The rate limiter: counts requests and registrations in fixed windows of time."""

import time
from datetime import timedelta
from typing import Self

from limits import RateLimitItemPerSecond

from app.core.clock import Clock, utc_now
from app.core.config import Settings
from app.core.errors import RequestsExceeded
from app.core.ip_addresses import rate_limit_network
from app.ratelimit.base import CounterBackend, MonotonicClock, Rate
from app.ratelimit.memory import MemoryBackend
from app.ratelimit.redis import RedisBackend

NOWHERE = "nowhere"
"""Stands for those whose address isn't known; they count as one."""


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
