"""The client of a connection: who it is, until when, and how it becomes a member of the realtime hub."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from app.core.errors import RollcallError
from app.flows.realtime.hub import RealtimeHub
from app.flows.realtime.membership import HubMember, address_owner
from app.http.authentication import Authenticator, CachedCaller
from app.http.realtime.realtime_connections import ConnectionCounts
from app.http.request_head import RequestHead

MAX_TIMER_SECONDS = 3600.0
"""Longest time for which a timer is set, as a token may be valid for years."""

RequestLimiter = Callable[[RequestHead], Awaitable[None]]
"""Counts a request; raises RequestsExceeded when it is over the limit."""


class RealtimeClient:
    """Authenticates one connection, and notices when its credentials are no longer valid.

    `on_close` is called with the reason when they are revoked, `on_expiry` when the token expires.
    """

    def __init__(
        self,
        hub: RealtimeHub,
        authenticator: Authenticator,
        head: RequestHead,
        counts: ConnectionCounts,
        on_close: Callable[[RollcallError], None],
        on_expiry: Callable[[], None],
        limiter: RequestLimiter | None = None,
    ) -> None:
        self._hub, self._authenticator, self._head, self._counts = hub, authenticator, head, counts
        self._on_close, self._on_expiry, self._limiter = on_close, on_expiry, limiter
        self._member: HubMember | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._owner: str | None = None
        self._leave_unknown: Callable[[], None] | None = None

    @property
    def member(self) -> HubMember:
        """The member that the client is; raise RuntimeError before it is one."""
        if self._member is None:
            raise RuntimeError("The client is not authenticated yet")
        return self._member

    @property
    def is_authenticated(self) -> bool:
        """Whether the client is a member, or a paused one."""
        return self._member is not None

    def wait_in(self, unknown: ConnectionCounts) -> None:
        """Count the connection by its address until the client is authenticated.

        Raises:
            ServiceUnavailable: The address has as many as are allowed.
        """
        address = address_owner(self._authenticator.client_ip(self._head))
        unknown.add(address)
        self._leave_unknown = partial(unknown.remove, address)

    def _stop_waiting(self) -> None:
        if self._leave_unknown is not None:
            self._leave_unknown()
            self._leave_unknown = None

    async def count_request(self) -> None:
        """Count a message that is a request, such as a query; raise RequestsExceeded when it is over the limit."""
        if self._limiter is not None:
            await self._limiter(self._head)

    async def authenticate(self, token: str | None) -> None:
        """Become the member with this token, or continue as such; anonymous without a token.

        Raises:
            InvalidCredentials: The token belongs to no active user, or its session has ended.
            InvalidToken: It is invalid in another way.
            TokenExpired: It has expired.
            TwoFactorSetupRequired: The user must set up two-factor authentication first.
            ServiceUnavailable: The database is unavailable, or the user has too many connections.
        """
        await self._become(self._authenticator.token_credentials(token, self._authenticator.client_ip(self._head)))

    async def authenticate_by_head(self) -> None:
        """Become the member whose token the request contains; raises as `authenticate`, and InvalidPayload for two."""
        await self._become(self._authenticator.credentials(self._head))

    async def _become(self, credentials: CachedCaller) -> None:
        if self._member is None:
            self._member = await self._hub.join(credentials.caller, self._on_close)
        else:
            self._hub.pause(self._member)
            await self._hub.resume(self._member, credentials.caller)
        self._count(self._member.owner)
        self._stop_waiting()
        self._set_timer(credentials.expires)

    def _count(self, owner: str) -> None:
        if owner != self._owner:
            self._counts.add(owner)
            if self._owner is not None:
                self._counts.remove(self._owner)
            self._owner = owner

    def _set_timer(self, expires: float) -> None:
        self._stop_timer()
        seconds = expires - time.time()
        if seconds <= 0:
            self._on_expiry()
            return
        callback = (lambda: self._set_timer(expires)) if seconds > MAX_TIMER_SECONDS else self._on_expiry
        self._timer = asyncio.get_running_loop().call_later(min(seconds, MAX_TIMER_SECONDS), callback)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause(self) -> None:
        """Receive nothing until the client authenticates again."""
        self._hub.pause(self.member)

    def leave(self) -> None:
        """End every subscription."""
        self._stop_timer()
        self._stop_waiting()
        if self._owner is not None:
            self._counts.remove(self._owner)
            self._owner = None
        if self._member is not None:
            self._hub.leave(self._member)
