"""A bounded pool of resources: does what a semaphore does, without its coroutine while a resource is free."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Generic, TypeVar

from app.core.errors import ServiceUnavailable

POOL_EXHAUSTED = "Too many requests are waiting for the database; try again later"

T = TypeVar("T")


class ResourcePool(Generic[T]):
    """A pool of resources with a FIFO queue of at most `max_waiting` waiters, each for at most `timeout` seconds."""

    def __init__(self, resources: Iterable[T], *, max_waiting: int, timeout: float) -> None:
        self.free = list(resources)
        self._max_waiting, self._timeout = max_waiting, timeout
        self._waiters: deque[asyncio.Future[T]] = deque()

    def acquire_nowait(self) -> T | None:
        """Return a free resource, or None if all are in use. While one is free, the queue is empty."""
        return self.free.pop() if self.free else None

    async def acquire(self) -> T:
        """Wait in the queue for a resource.

        Raises:
            ServiceUnavailable: The queue is full, or the wait took too long.
        """
        if len(self._waiters) >= self._max_waiting:
            raise ServiceUnavailable(POOL_EXHAUSTED)
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._timeout):
                return await waiter
        except BaseException as error:
            with suppress(ValueError):
                self._waiters.remove(waiter)
            if waiter.done() and not waiter.cancelled():  # the resource arrived too late
                self.release(waiter.result())
            if isinstance(error, TimeoutError):
                raise ServiceUnavailable(POOL_EXHAUSTED) from None
            raise

    def release(self, resource: T) -> None:
        """Hand a resource to the longest waiter, or put it back if there is none."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(resource)
                return
        self.free.append(resource)
