"""The retention job: deletes expired rows, from one process at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial

import structlog

from app.flows.background_jobs import PeriodicJob
from app.repositories.services import Services
from app.repositories.stores.events import EventStore
from app.repositories.stores.retention import RetentionStore

PRUNE_INTERVAL = timedelta(minutes=5)
"""How often expired sessions and attempt counters are deleted: they are small and numerous."""
RETENTION_INTERVAL = timedelta(hours=1)
"""How often old activity and revisions are deleted, which takes a search."""
BATCH_PAUSE_SECONDS = 0.02
"""Pause between two batches, in which other writers get their turn."""
PRUNE_TASK, RETENTION_TASK = "housekeeping", "retention"
"""Names of the two tasks in `rollcall_tasks`, which processes share: they are stored, so they must not change."""

DeleteBatch = Callable[[], Awaitable[int]]
"""Deletes one batch and returns how many rows it held."""

log = structlog.get_logger(__name__)


class RetentionJob(PeriodicJob):
    """Deletes expired sessions and attempt counters, and activity and revisions past their retention.

    Every process checks regularly whether a task is due; the first one to claim it in the database runs it.
    """

    name = "retention_job"
    interval_seconds = 60.0

    def __init__(self, services: Services) -> None:
        super().__init__(services.metrics, tracer=services.tracer)
        self._services, self._store = services, RetentionStore(services)
        self._events = EventStore(services)

    async def run_once(self) -> int:
        """Run the tasks that are due and that no other process has claimed; return how many rows were deleted."""
        deleted = 0
        if await self._store.claim_task(PRUNE_TASK, PRUNE_INTERVAL):
            deleted += await self._delete_each(
                {"sessions": self._store.delete_expired_sessions, "attempts": self._store.delete_expired_attempts}
            )
            deleted += await self._delete_each(
                {"mails": self._store.delete_sent_mails, "used_sign_ins": self._store.delete_expired_sign_ins}
            )
            await self._events.delete_old()
            if not self._services.settings.password_history:
                deleted += await self._delete_each({"former_passwords": self._store.delete_former_passwords})
        retained = dict(self._retained())
        if retained and await self._store.claim_task(RETENTION_TASK, RETENTION_INTERVAL):
            deleted += await self._delete_each(retained)
        return deleted

    def _retained(self) -> Iterator[tuple[str, DeleteBatch]]:
        """Yield what the settings keep for a limited time; revisions first, as deleting activity deletes its own."""
        settings, now = self._services.settings, self._services.clock()
        if settings.revisions_retention is not None:
            yield "revisions", partial(self._store.delete_revisions, now - settings.revisions_retention)
        if settings.activity_retention is not None:
            yield "activity", partial(self._store.delete_activity, now - settings.activity_retention)

    async def _delete_each(self, batches: dict[str, DeleteBatch]) -> int:
        deleted = {name: await self._delete_all(batch) for name, batch in batches.items()}
        if any(deleted.values()):
            log.info("retention_pruned", **deleted)
        return sum(deleted.values())

    async def _delete_all(self, delete_batch: DeleteBatch) -> int:
        deleted = 0
        while not self.stopping:
            deleted += (count := await delete_batch())
            if count < self._store.batch_size:
                break
            await asyncio.sleep(BATCH_PAUSE_SECONDS)
        return deleted
