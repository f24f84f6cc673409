"""A bounded pool of fairly shared resources: a semaphore that needs no coroutine while a resource is free."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.core.errors import ServiceUnavailable

T = TypeVar("T")
Owner = str | None
"""Who uses a resource: one of those that share the pool, or None for uses that are not limited."""

LIMITED_SHARE = 8
"""A limited owner uses at most this fraction of the resources, rounded down, and at least one."""
LIMITED_SECONDS = 2.0
"""How long an owner stays limited, so that the slow uses behind the ended ones do not start all at once."""


@dataclass(slots=True)
class PoolStatistics:
    """How many resources there are, and what has happened so far: waits, their seconds, and rejected ones."""

    size: int
    waits: int = 0
    seconds_waited: float = 0.0
    rejected: int = 0


class ResourcePool(Generic[T]):
    """A pool of resources with a queue of at most `max_waiting` waiters, each for at most `timeout` seconds.

    The last `reserved` free resources are for owners that use none yet, and an owner fills at most half of the queue:
    no single one keeps the others waiting. The waiters of one owner are served in order; owners take turns. An owner
    that is limited because of its slow uses has few resources at once. `exhausted` is what a client reads whose turn
    does not come.
    """

    def __init__(
        self, resources: Iterable[T], *, reserved: int, max_waiting: int, timeout: float, exhausted: str
    ) -> None:
        self.free = list(resources)
        self._reserved, self._max_waiting, self._timeout, self._exhausted = reserved, max_waiting, timeout, exhausted
        self._max_limited = max(1, len(self.free) // LIMITED_SHARE)
        self._limited_until: dict[Owner, float] = {}
        self._in_use: dict[Owner, int] = {}
        self._queues: dict[Owner, deque[asyncio.Future[T]]] = {}
        self._waiting = 0
        self.statistics = PoolStatistics(len(self.free))

    @property
    def in_use(self) -> int:
        """Number of resources in use."""
        return self.statistics.size - len(self.free)

    @property
    def waiting(self) -> int:
        """Length of the queue."""
        return self._waiting

    def acquire_nowait(self, owner: Owner = None) -> T | None:
        """Return a free resource; None if there is none for this owner."""
        free, in_use = self.free, self._in_use
        if self._limited_until and in_use.get(owner, 0) >= self._max_limited and self._is_limited(owner):
            return None
        if len(free) > self._reserved or (free and (owner is None or owner not in in_use)):
            in_use[owner] = in_use.get(owner, 0) + 1
            return free.pop()
        return None

    async def acquire(self, owner: Owner = None) -> T:
        """Wait in the queue for a resource.

        Raises:
            ServiceUnavailable: The queue is full, or the wait took too long.
        """
        queue = self._queues.get(owner, ())
        if self._waiting >= self._max_waiting or (owner is not None and len(queue) >= (self._max_waiting + 1) // 2):
            self.statistics.rejected += 1
            raise ServiceUnavailable(self._exhausted)
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(owner, deque()).append(waiter)
        self._waiting += 1
        self.statistics.waits += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                return await waiter
        except BaseException as error:
            self._leave(owner, waiter)
            if waiter.done() and not waiter.cancelled():  # the resource arrived too late
                self.release(waiter.result(), owner)
            if isinstance(error, TimeoutError):
                self.statistics.rejected += 1
                raise ServiceUnavailable(self._exhausted) from None
            raise
        finally:
            self.statistics.seconds_waited += time.monotonic() - began

    def release(self, resource: T, owner: Owner = None) -> None:
        """Put a resource of this owner back, and hand what is free to the next waiters who may use it."""
        used = self._in_use.pop(owner)
        if used > 1:
            self._in_use[owner] = used - 1
        self.free.append(resource)
        while self._queues and self._serve_next():  # several, if the limit of an owner has just ended
            pass

    def limit(self, owner: Owner) -> None:
        """Limit an owner for a while, because it has a resource in use for long."""
        now = time.monotonic()
        self._limited_until = {other: until for other, until in self._limited_until.items() if until > now}
        if owner is not None:
            self._limited_until[owner] = now + LIMITED_SECONDS

    def _is_limited(self, owner: Owner) -> bool:
        return time.monotonic() < self._limited_until.get(owner, 0)

    def _serve_next(self) -> bool:
        """Hand a free resource to the next waiter who may use one; return whether there was one."""
        for owner in list(self._queues):
            if (resource := self.acquire_nowait(owner)) is None:
                continue
            queue = self._queues.pop(owner)
            waiter = queue.popleft()
            self._waiting -= 1
            if queue:
                self._queues[owner] = queue  # behind the other owners
            if waiter.done():  # cancelled a moment ago
                self.release(resource, owner)
            else:
                waiter.set_result(resource)
            return True
        return False

    def _leave(self, owner: Owner, waiter: asyncio.Future[T]) -> None:
        with suppress(KeyError, ValueError):
            self._queues[owner].remove(waiter)
            self._waiting -= 1
            if not self._queues[owner]:
                del self._queues[owner]
