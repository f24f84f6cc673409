"""The admission of requests: which queue they wait in, and who sends them."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from starlette.types import Scope

from app.core.errors import ServiceUnavailable
from app.core.ip_addresses import rate_limit_network
from app.http.admission_queue import AdmissionLimits, AdmissionQueue, Client
from app.http.endpoint_paths import PROBES, normalized_path
from app.http.exchange import Exchange
from app.http.request_head import RequestHead
from app.metrics.metrics import Metrics

UNKNOWN_ADDRESS = "unknown"
SIGN_IN_PATHS = (
    "/auth/login",
    "/auth/passkey/login",
    "/auth/refresh",
    "/auth/logout",
    "/admin/sign-in",
    "/admin/sign-in/passkey",
)
"""Paths whose requests wait in a queue of their own: each takes a fixed time, so that its duration reveals nothing.

Sign-ins through GraphQL, whose path says nothing, join that queue when they run (`turn_among_sign_ins`).
"""
PROVIDER_PATHS = (
    "/auth/login/{}",
    "/auth/login/{}/callback",
    "/auth/login/{}/link",
    "/admin/sign-in/with/{}",
    "/admin/link-account",
)
"""Paths of a provider, whose requests wait in another queue: if it does not respond, each takes seconds."""
UNLIMITED_PATHS = ("/server/ping", "/server/health", "/metrics", *PROBES)
"""Paths by which a server is observed, whose requests run at once."""


class Admission:
    """The admission of all requests to a process.

    Sign-ins wait in a queue of their own, those with `providers`, by name, in another one, health checks in none.
    """

    def __init__(
        self,
        limits: AdmissionLimits,
        client_ip: Callable[[RequestHead], str | None],
        metrics: Metrics,
        providers: Iterable[str] = (),
    ) -> None:
        self.requests, self.sign_ins, self.provider_sign_ins = (AdmissionQueue(*limits) for _ in range(3))
        self._other_queues: Mapping[str, AdmissionQueue | None] = {
            **{path.format(name).lower(): self.provider_sign_ins for name in providers for path in PROVIDER_PATHS},
            **dict.fromkeys(SIGN_IN_PATHS, self.sign_ins),
            **dict.fromkeys(UNLIMITED_PATHS),
        }
        """The queues of paths whose requests do not wait in that of all others; None for no queue."""
        self._client_ip, self._rejections = client_ip, metrics.rejections
        queues = {
            ("requests",): self.requests,
            ("sign_ins",): self.sign_ins,
            ("provider_sign_ins",): self.provider_sign_ins,
        }
        metrics.gauge(
            "requests_running", "Requests that run", lambda: {name: q.in_use for name, q in queues.items()}, "queue"
        )
        metrics.gauge(
            "requests_waiting", "Requests that wait", lambda: {name: q.waiting for name, q in queues.items()}, "queue"
        )

    @classmethod
    def unlimited(cls) -> "Admission":
        """Return an admission that lets every request run at once."""
        return cls(AdmissionLimits(sys.maxsize, 1, 1.0), lambda _: None, Metrics())

    def queue_of(self, scope: Scope) -> AdmissionQueue | None:
        """Return the queue that a request waits in, by its path; None for no queue."""
        path: str = scope["path"]
        if scope.get("root_path") or path.endswith("/") or not path.islower():
            path = normalized_path(scope)
        return self._other_queues.get(path, self.requests)

    @asynccontextmanager
    async def turn_among_sign_ins(self, exchange: Exchange, *, is_last: bool) -> AsyncIterator[None]:
        """Let a request that waited among all requests run a sign-in in a turn among the sign-ins.

        Unless the sign-in `is_last`, the request then takes a turn among all requests again.

        Raises:
            ServiceUnavailable: As `enter`.
        """
        if exchange.queue is not self.requests:
            yield
            return
        await self._move(exchange, self.sign_ins)
        try:
            yield
        except Exception:
            if not is_last:
                await self._move(exchange, self.requests)
            raise
        if not is_last:
            await self._move(exchange, self.requests)

    async def enter(self, exchange: Exchange, queue: AdmissionQueue) -> None:
        """Wait until a request may run.

        Raises:
            ServiceUnavailable: Too many requests are waiting, or this one has waited too long.
        """
        head = exchange.head
        address = rate_limit_network(self._client_ip(head)) or UNKNOWN_ADDRESS
        try:
            exchange.reserved_for = await queue.enter(Client(address, head.authorization or head.cookie))
        except ServiceUnavailable:
            self._rejections.add("overload")
            raise
        exchange.queue = queue

    def suspend(self, exchange: Exchange) -> None:
        """Let another request run instead of one that waits for its body, until the body is complete."""
        if exchange.is_receiving and (queue := exchange.queue) is not None:
            exchange.leave_queue()
            exchange.resume = partial(self._resume, exchange, queue)

    async def _move(self, exchange: Exchange, queue: AdmissionQueue) -> None:
        exchange.leave_queue()
        await self._resume(exchange, queue)

    async def _resume(self, exchange: Exchange, queue: AdmissionQueue) -> None:
        if not exchange.starts_at_once(queue):
            await self.enter(exchange, queue)
