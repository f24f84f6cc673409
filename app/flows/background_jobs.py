"""Chores: what a process does by itself, again and again, beside answering."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import structlog

from app.core.errors import ServiceUnavailable

MAX_INTERVAL_SECONDS = 60.0
"""Seconds between two rounds at most, while nothing goes well."""
SHUTDOWN_SECONDS = 5.0
"""Seconds that the end waits for a round under way."""
WAKE_DELAY_SECONDS = 0.05
"""Seconds from a call to the round: who calls is still about to commit what it is called for."""

log = structlog.get_logger(__name__)


class PeriodicJob(ABC):
    """Rounds of something, `every` so many seconds; sooner where somebody sets `wake`.

    Nothing that goes wrong in a round is its end: the next ones come later and later, and are told of in the log less
    and less. `over` says that no more should be begun.
    """

    name: ClassVar[str]
    interval_seconds: ClassVar[float]

    def __init__(self, wake: asyncio.Event | None = None) -> None:
        self.stopping = False
        self._wake = wake or asyncio.Event()

    @abstractmethod
    async def run_once(self) -> int:
        """Does what there is to do now; how much that was. Raises ServiceUnavailable where the database is away."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Meanwhile it is done in the background; at the end a round under way is let come to its end, if it does."""
        self.stopping = False
        rounds = asyncio.create_task(self._run_forever(), name=self.name)
        try:
            yield
        finally:
            self.stopping = True
            self._wake.set()
            await asyncio.wait([rounds], timeout=SHUTDOWN_SECONDS)
            rounds.cancel()
            await asyncio.gather(rounds, return_exceptions=True)

    async def _run_forever(self) -> None:
        pause = self.interval_seconds
        while True:
            await self._sleep(pause)
            if self.stopping:
                return
            pause = (
                self.interval_seconds
                if await self._run_logged(said=pause > self.interval_seconds)
                else min(2 * pause, MAX_INTERVAL_SECONDS)
            )

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        if not self.stopping:
            await asyncio.sleep(WAKE_DELAY_SECONDS)

    async def _run_logged(self, *, said: bool) -> bool:
        """Whether a round went well; that the database is away is only said once."""
        try:
            await self.run_once()
        except ServiceUnavailable as error:
            if not said:
                log.warning("chore_waits", chore=self.name, error=error.text)
            return False
        except Exception:  # whatever it was, the next time may go well
            log.exception("chore_failed", chore=self.name)
            return False
        return True
