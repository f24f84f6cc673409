"""So many at once, and the others in a queue: what a semaphore does, without its coroutine where there is no need."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Generic, TypeVar

from app.core.errors import ServiceUnavailable

POOL_EXHAUSTED = "Too many requests are waiting for the database; try again in a moment"

T = TypeVar("T")


class ResourcePool(Generic[T]):
    """Places that are `free` at first, and a queue for at most `queue` who wait for one, each `patience` seconds."""

    def __init__(self, free: Iterable[T], *, queue: int, patience: float) -> None:
        self.free = list(free)
        self._most, self._patience = queue, patience
        self._queue: deque[asyncio.Future[T]] = deque()

    def acquire_nowait(self) -> T | None:
        """A place, which is taken now, if there is one; nobody waits as long as there is."""
        return self.free.pop() if self.free else None

    async def acquire(self) -> T:
        """Takes a place once it is one's turn; raises ServiceUnavailable where too many wait, or it takes too long."""
        if len(self._queue) >= self._most:
            raise ServiceUnavailable(POOL_EXHAUSTED)
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._patience):
                return await turn
        except BaseException as error:
            with suppress(ValueError):
                self._queue.remove(turn)
            if turn.done() and not turn.cancelled():  # it came, and too late
                self.release(turn.result())
            if isinstance(error, TimeoutError):
                raise ServiceUnavailable(POOL_EXHAUSTED) from None
            raise

    def release(self, place: T) -> None:
        """Gives a place back: to whoever waits for longest, if anybody does."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(place)
                return
        self.free.append(place)
