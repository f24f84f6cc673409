"""The thread that plans queries, so that the event loop serves other requests meanwhile; callers take turns."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from app.core.computing import computing
from app.db.resource_pool import Owner, ResourcePool

T = TypeVar("T")

MAX_WAITING = 1_000
QUEUE_TIMEOUT_SECONDS = 5.0
TOO_MANY_WAITING = "Too many requests are waiting to be planned; try again later"


class PlanningThread:
    """Runs what parses, validates and plans a request, which takes milliseconds of computing and no I/O.

    There is one thread, because several would only compete with the event loop for the interpreter.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "planning")
        self._turns = ResourcePool(
            ("turn",),
            reserved=0,
            max_waiting=MAX_WAITING,
            timeout=QUEUE_TIMEOUT_SECONDS,
            exhausted=TOO_MANY_WAITING,
        )

    @property
    def turns(self) -> ResourcePool[str]:
        """The turns in which callers use the thread."""
        return self._turns

    async def run(self, owner: Owner, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises, once it is this owner's turn.

        Raises:
            ServiceUnavailable: Too many others are waiting, or the wait took too long.
        """
        turn = self._turns.acquire_nowait(owner) or await self._turns.acquire(owner)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, copy_context().run, _compute, work)
        finally:
            self._turns.release(turn, owner)


def _compute(work: Callable[[], T]) -> T:
    with computing():
        return work()
