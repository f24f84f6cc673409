"""Runs the periodic jobs of extensions, each in one process at a time."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from app.core.caller import SYSTEM
from app.core.errors import ServiceUnavailable
from app.extensions.contents import Extensions, JobSpec
from app.flows.background_jobs import PeriodicJob
from app.repositories.directory import Directory
from app.repositories.hooks import failure_fields
from app.repositories.services import Services
from app.repositories.stores.retention import RetentionStore

MAX_POLL_SECONDS = 60.0
"""How often a process checks at least whether a job is due."""
NAME_HASH_LENGTH = 28
"""Digits of the hash in the name of a task, which has at most 32 characters."""

log = structlog.get_logger(__name__)


class ExtensionJob(PeriodicJob):
    """Runs one job of an extension with the directory of the system.

    Every process checks regularly whether the job is due; the first one to claim it in the database runs it. A run
    ends before the next one may begin, so that there are never two.
    """

    def __init__(self, spec: JobSpec, services: Services) -> None:
        super().__init__(services.metrics, tracer=services.tracer)
        self.name = spec.name
        self.interval_seconds = min(MAX_POLL_SECONDS, spec.every.total_seconds())
        self._spec, self._services, self._store = spec, services, RetentionStore(services)

    async def run_once(self) -> int:
        """Run the job if it is due and no other process has claimed it; return how many runs that were, 0 or 1."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()
        if not await self._store.claim_task(f"ext_{digest[:NAME_HASH_LENGTH]}", self._spec.every):
            return 0
        try:
            async with asyncio.timeout(self._spec.every.total_seconds()):
                await self._spec.function(Directory(SYSTEM, self._services))
        except ServiceUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # the next run may succeed
            log.error("extension_job_failed", job=self.name, **failure_fields(error))  # noqa: TRY400  # without its text
        return 1


@asynccontextmanager
async def running_extensions(extensions: Extensions, services: Services) -> AsyncIterator[None]:
    """Run the jobs of extensions in the background; on exit, wait a moment for them and for the hooks after writes."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(extensions.running_hooks())
        for spec in extensions.jobs:
            await stack.enter_async_context(ExtensionJob(spec, services).running())
        yield
