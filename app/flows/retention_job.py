"""Housekeeping: what has had its day is taken away, by one process for all."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import ClassVar

import structlog

from app.flows.background_jobs import PeriodicJob
from app.repositories.services import Services
from app.repositories.stores.retention import RetentionStore

PRUNE_INTERVAL, RETENTION_INTERVAL = timedelta(minutes=5), timedelta(hours=1)
"""How often what is small and plentiful is taken away, and what has to be searched for."""
BATCH_PAUSE_SECONDS = 0.02
"""Seconds between two batches, which are for everybody else who wants to write."""

Batch = Callable[[], Awaitable[int]]

log = structlog.get_logger(__name__)


class RetentionJob(PeriodicJob):
    """Takes away sessions, counters and mails that are over, and activity and revisions as old as the settings say.

    Every process looks now and then whether it is time; the first that does takes the turn.
    """

    name: ClassVar[str] = "housekeeping"
    interval_seconds: ClassVar[float] = 60.0

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services, self._pruning = services, RetentionStore(services)

    async def run_once(self) -> int:
        """Takes away what there is, where it is time and nobody else does; how many rows."""
        gone = 0
        if await self._pruning.claim_task("housekeeping", PRUNE_INTERVAL):
            gone += await self._each({"sessions": self._pruning.sessions, "attempts": self._pruning.attempts})
            gone += await self._each({"mails": self._pruning.mails})
        retained = dict(self._retained())
        if retained and await self._pruning.claim_task("retention", RETENTION_INTERVAL):
            gone += await self._each(retained)
        return gone

    def _retained(self) -> Iterator[tuple[str, Batch]]:
        """What is kept for a time only; revisions first, which would go with their activity."""
        settings, now = self._services.settings, self._services.clock()
        if settings.revisions_retention is not None:
            yield "revisions", partial(self._pruning.revisions, now - settings.revisions_retention)
        if settings.activity_retention is not None:
            yield "activity", partial(self._pruning.activity, now - settings.activity_retention)

    async def _each(self, batches: dict[str, Batch]) -> int:
        gone = {name: await self._all(batch) for name, batch in batches.items()}
        if any(gone.values()):
            log.info("pruned", **gone)
        return sum(gone.values())

    async def _all(self, batch: Batch) -> int:
        gone = 0
        while not self.stopping:
            gone += (found := await batch())
            if found < self._pruning.batch:
                break
            await asyncio.sleep(BATCH_PAUSE_SECONDS)
        return gone
