"""Periodic jobs: work that each server process repeats in the background."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from app.core.errors import ServiceUnavailable
from app.metrics.metrics import Metrics
from app.tracing.tracer import NO_TRACER, Tracer

MAX_INTERVAL_SECONDS = 60.0
"""Longest pause between two runs while runs fail."""
SHUTDOWN_SECONDS = 5.0
"""How long shutdown waits for a run in progress."""
WAKE_DELAY_SECONDS = 0.05
"""Delay between a wake-up and the run, because the transaction that sets the event commits only afterwards."""

log = structlog.get_logger(__name__)


class PeriodicJob(ABC):
    """A job that runs every `interval_seconds`, or as soon as the event `wake` is set.

    A failed run never ends the job: the pause before the next run doubles, up to `MAX_INTERVAL_SECONDS`. While
    `stopping` is true, a run must not start further work.
    """

    name: str
    interval_seconds: float

    def __init__(self, metrics: Metrics, wake: asyncio.Event | None = None, tracer: Tracer = NO_TRACER) -> None:
        self.stopping = False
        self._metrics, self._tracer = metrics, tracer
        self._wake = wake or asyncio.Event()

    @abstractmethod
    async def run_once(self) -> int:
        """Do the work that is due now and return how many items were processed.

        Raises:
            ServiceUnavailable: The database is unavailable.
        """

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the job in the background; on exit, wait up to `SHUTDOWN_SECONDS` for a run in progress, then cancel."""
        self.stopping = False
        task = asyncio.create_task(self._run_forever(), name=self.name)
        try:
            yield
        finally:
            self.stopping = True
            self._wake.set()
            await asyncio.wait([task], timeout=SHUTDOWN_SECONDS)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run_forever(self) -> None:
        pause = self.interval_seconds
        while True:
            await self._sleep(pause)
            if self.stopping:
                return
            succeeded = await self._run_logged(after_failure=pause > self.interval_seconds)
            pause = self.interval_seconds if succeeded else min(2 * pause, MAX_INTERVAL_SECONDS)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        if not self.stopping:
            await asyncio.sleep(WAKE_DELAY_SECONDS)

    async def _run_logged(self, *, after_failure: bool) -> bool:
        """Run once, log a failure and return whether the run succeeded.

        An unavailable database is logged only for the first of several failed runs.
        """
        try:
            with self._tracer.job(self.name):
                await self.run_once()
        except ServiceUnavailable as error:
            self._metrics.job_runs.add(self.name, "unavailable")
            if not after_failure:
                log.warning("job_waiting_for_database", job=self.name, error=error.text)
            return False
        except Exception:  # any failure may be temporary: the next run may succeed
            self._metrics.job_runs.add(self.name, "failed")
            log.exception("job_failed", job=self.name)
            return False
        self._metrics.job_runs.add(self.name, "succeeded")
        return True
