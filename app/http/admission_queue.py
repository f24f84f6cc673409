"""A queue of requests: how many run at once and, when more arrive, whose turn it is, and who is rejected."""

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from app.core.errors import ServiceUnavailable

RESERVED_SHARE = 8
"""One of so many requests at once is reserved for clients that have none of the reserved ones."""
OVERLOADED = "Too many requests are waiting; try again later"


class Client(NamedTuple):
    """Who sends a request, as far as its head tells: an address and, unverified, credentials."""

    address: str
    credentials: bytes = b""


Waiter = asyncio.Future[str | None]
"""Waits for a turn; its result is the address that the turn is reserved for, None for a shared one."""


class AdmissionLimits(NamedTuple):
    """How many requests run and wait at most, and for how many seconds."""

    max_running: int
    max_waiting: int
    timeout: float


class AdmissionQueue:
    """Lets at most `max_running` requests run at once; up to `max_waiting` wait, each for at most `timeout` seconds.

    While requests are `running`, but fewer than `max_shared`, the next one starts at once: its caller adds one
    to `running`, and calls `leave` at its end. Otherwise `enter` waits. A part of the requests at once is reserved:
    each address has at most one of these, so that many long requests of one client do not keep others waiting. The
    addresses that wait take turns, and so do the credentials at one address. An address fills at most half of the
    queue, and credentials at most half of that.
    """

    def __init__(self, max_running: int, max_waiting: int, timeout: float) -> None:
        self._max_reserved = max(1, max_running // RESERVED_SHARE)
        self.max_shared = max(1, max_running - self._max_reserved)
        self._max_waiting, self._timeout = max_waiting, timeout
        self._reserved: set[str] = set()
        """The addresses that have a reserved turn."""
        self._queues: dict[str, dict[bytes, deque[Waiter]]] = {}
        self.running = self.waiting = 0

    @property
    def in_use(self) -> int:
        """The number of requests that run."""
        return self.running + len(self._reserved)

    async def enter(self, client: Client) -> str | None:
        """Wait for a turn; return what `leave` takes at its end.

        Raises:
            ServiceUnavailable: The queue is full, or the wait took too long.
        """
        address = client.address
        if address not in self._reserved and len(self._reserved) < self._max_reserved:
            self._reserved.add(address)
            return address
        if self._is_full(client):
            raise ServiceUnavailable(OVERLOADED)
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._queues.setdefault(address, {}).setdefault(client.credentials, deque()).append(waiter)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                return await waiter
        except BaseException as error:
            self._forget(client, waiter)
            if waiter.done() and not waiter.cancelled():  # the turn came too late
                self.leave(waiter.result())
            if isinstance(error, TimeoutError):
                raise ServiceUnavailable(OVERLOADED) from None
            raise

    def leave(self, reserved_for: str | None) -> None:
        """End a turn, and give it to the next waiter, if any."""
        if reserved_for is None and not self._queues:
            self.running -= 1
            return
        if reserved_for is None:
            if (waiter := self._next_waiter()) is None:
                self.running -= 1
            else:
                waiter.set_result(None)
            return
        self._reserved.discard(reserved_for)
        for address in [address for address in self._queues if address not in self._reserved]:
            if (waiter := self._next_waiter(address)) is not None:
                self._reserved.add(address)
                waiter.set_result(address)
                return

    def _is_full(self, client: Client) -> bool:
        of_address = self._queues.get(client.address, {})
        half = (self._max_waiting + 1) // 2
        return (
            self.waiting >= self._max_waiting
            or len(of_address.get(client.credentials, ())) >= (half + 1) // 2
            or sum(map(len, of_address.values())) >= half
        )

    def _next_waiter(self, address: str | None = None) -> Waiter | None:
        """Take the waiter whose turn it is out of the queue, that of an address if there is one; None if none waits."""
        for waiter in self._take_turns(address):
            if not waiter.done():  # else it was cancelled a moment ago
                return waiter
        return None

    def _take_turns(self, address: str | None) -> Iterator[Waiter]:
        while self._queues and (address is None or address in self._queues):
            next_address = address or next(iter(self._queues))
            by_credentials = self._queues.pop(next_address)
            credentials = next(iter(by_credentials))
            queue = by_credentials.pop(credentials)
            waiter = queue.popleft()
            self.waiting -= 1
            if queue:
                by_credentials[credentials] = queue  # behind the other credentials
            if by_credentials:
                self._queues[next_address] = by_credentials  # behind the other addresses
            yield waiter

    def _forget(self, client: Client, waiter: Waiter) -> None:
        """Take a waiter out of the queue that gives up, unless its turn has come."""
        by_credentials = self._queues.get(client.address, {})
        queue = by_credentials.get(client.credentials, deque())
        if waiter not in queue:
            return
        queue.remove(waiter)
        self.waiting -= 1
        if not queue:
            del by_credentials[client.credentials]
        if not by_credentials:
            del self._queues[client.address]
