"""The rate limiter: counts requests and registrations in fixed windows of time."""

import time
from datetime import timedelta
from typing import Self

from app.core.clock import Clock, utc_now
from app.core.config import Settings
from app.core.errors import RequestsExceeded, ServiceUnavailable
from app.core.ip_addresses import rate_limit_network
from app.ratelimit.base import CounterBackend, MonotonicClock, Rate
from app.ratelimit.memory import MemoryBackend

UNKNOWN_CLIENT = "unknown"
"""The subject of all clients whose IP address is unknown."""


class RateLimiter:
    """Limits the rates of requests and registrations. Each rate is counted separately, and only if it is set.

    A window begins with its first hit. A rejected hit does not prolong it. IPv6 addresses count by the network that a
    single client has to itself.
    """

    def __init__(self, backend: CounterBackend, rates: dict[str, Rate], clock: Clock = utc_now) -> None:
        self._backend, self._clock = backend, clock
        self.client_rate, self.global_rate = rates.get("client"), rates.get("global")
        self._registration_rate = rates.get("registrations")

    @classmethod
    def from_settings(
        cls, settings: Settings, clock: Clock = utc_now, monotonic: MonotonicClock = time.monotonic
    ) -> Self:
        """Create the limiter that the settings describe, not yet connected.

        Raises:
            ConfigurationError: The URL is not one of Redis.
        """
        rates = configured_rates(settings)
        backend: CounterBackend = MemoryBackend(monotonic)
        if rates and settings.rate_limiter_store == "redis":
            from app.ratelimit.redis import RedisBackend  # noqa: PLC0415  # importing redis takes a tenth of a second

            backend = RedisBackend(settings.redis, backend)
        limiter = cls(backend, rates, clock)
        if limiter.limits_requests:
            import app.ratelimit.memory_storage  # noqa: F401, PLC0415  # loads the library, which takes 2 MB, before requests
        return limiter

    @property
    def limits_requests(self) -> bool:
        """Whether requests are counted at all."""
        return self.client_rate is not None or self.global_rate is not None

    @property
    def is_shared(self) -> bool:
        """Whether another server counts, for all processes."""
        return self._backend.is_shared

    async def check_available(self) -> None:
        """Raise ServiceUnavailable if that server does not count."""
        if not await self._backend.accepts_writes():
            raise ServiceUnavailable

    async def check_request(self, ip: str | None) -> None:
        """Count a request of an IP address.

        A request that exceeds the client's rate is not counted for the global one, so that one client cannot use that
        up.

        Raises:
            RequestsExceeded: The request exceeds the client's or the global rate.
        """
        if self.client_rate is not None:
            await self._hit(self.client_rate, rate_limit_network(ip) or UNKNOWN_CLIENT)
        if self.global_rate is not None:
            await self._hit(self.global_rate)

    async def check_registration(self, ip: str | None) -> None:
        """Count a registration of an IP address.

        Raises:
            RequestsExceeded: It exceeds the client's rate of registrations.
        """
        if self._registration_rate is not None:
            await self._hit(self._registration_rate, rate_limit_network(ip) or UNKNOWN_CLIENT)

    async def dispose(self) -> None:
        """Close the connections to Redis. The next request opens new ones."""
        await self._backend.dispose()

    async def _hit(self, rate: Rate, *subject: str) -> None:
        seconds = await self._backend.hit(rate, *subject)
        if seconds is not None:
            raise RequestsExceeded(rate.amount, self._clock() + timedelta(seconds=seconds), max(round(seconds), 1))


def configured_rates(settings: Settings) -> dict[str, Rate]:
    """Return the enabled rates by what they limit: `client`, `global` and `registrations`."""
    rates = {
        "client": (settings.rate_limiter_enabled, settings.rate_limiter_points, settings.rate_limiter_duration),
        "global": (
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
    return {name: Rate(points, seconds, name) for name, (enabled, points, seconds) in rates.items() if enabled}


def is_per_process(settings: Settings) -> bool:
    """Return whether rates are counted in each process, so that N processes allow N times as much."""
    return settings.rate_limiter_store == "memory" and bool(configured_rates(settings))
