"""So many at once, and the others in a queue: what a semaphore does, without its coroutine where there is no need."""

import asyncio
from collections import deque
from contextlib import suppress

from app.core.errors import ServiceUnavailable

CROWDED = "Too many requests are waiting for the database; try again in a moment"


class Places:
    """`free` places at first, and a queue for at most `queue` who wait for one, each for `patience` seconds at most."""

    def __init__(self, free: int, *, queue: int, patience: float) -> None:
        self._free, self._most, self._patience = free, queue, patience
        self._queue: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Whether there was a place, which is taken now; nobody waits as long as there is one."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Takes a place once it is one's turn; raises ServiceUnavailable where too many wait, or it takes too long."""
        if len(self._queue) >= self._most:
            raise ServiceUnavailable(CROWDED)
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            with suppress(ValueError):
                self._queue.remove(turn)
            if turn.done() and not turn.cancelled():  # it came, and too late
                self.give()
            if isinstance(error, TimeoutError):
                raise ServiceUnavailable(CROWDED) from None
            raise

    def give(self) -> None:
        """Gives a place back: to whoever waits for longest, if anybody does."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
