"""The Directus cache job: clears the caches of a Directus on the same database after access rights changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from sqlalchemy import func, select

from app.db.models import ORIGIN
from app.directus.client import DirectusClient, DirectusError
from app.flows.background_jobs import PeriodicJob
from app.repositories.services import Services
from app.repositories.stores.directus_nodes import DirectusNodes

LEASE = timedelta(seconds=30)
"""How long a node is reserved for one process: three times the time limit of a call."""
MIN_PAUSE = timedelta(seconds=1)
"""The pause after a call to a node, in which further changes are collected: a Directus then reads its schema anew."""
MAX_RETRY_WAIT = timedelta(minutes=1)
"""The longest pause between attempts; it also limits how long a node that is back keeps withdrawn rights."""

log = structlog.get_logger(__name__)


class DirectusCacheJob(PeriodicJob):
    """Clears the caches of each node in DIRECTUS_URL once the rights have another version than the node knows.

    A Directus caches permissions in memory, and does not notice changes in the database. The version changes in the
    same transaction as the rights, so that no change is lost; it does not matter which process, or program, made it.
    Any number of processes may run this job: each call is made by one of them. A node knows the version from before
    its call began, so a change during the call leads to another one.

    If DIRECTUS_URL is not set and Directus created the tables, the job only logs a warning, once.
    """

    name = "directus_cache_job"
    interval_seconds = 1.0

    def __init__(self, services: Services) -> None:
        super().__init__(services.metrics, services.access_changed, services.tracer)
        settings = services.settings
        self._services, self._urls = services, settings.directus_url or ()
        self._nodes = DirectusNodes(services, self._urls)
        self._warned = settings.directus_url is not None
        self._client = DirectusClient(settings.directus_token) if self._urls and settings.directus_token else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the job in the background, and close the connections to the nodes at the end."""
        async with super().running():
            yield
        await self.close()

    async def close(self) -> None:
        """Close the connections to the nodes."""
        if self._client is not None:
            await self._client.close()

    async def run_once(self) -> int:
        """Clear the caches of the nodes that are due and return how many were cleared."""
        if not self._warned:
            await self._warn_once()
        version = await self._nodes.outdated() if self._client else None
        if self._client is None or version is None:
            return 0
        calls = (self._clear_cache(self._client, url, version) for url in self._urls)
        results = await asyncio.gather(*calls, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum(result is True for result in results)

    async def _clear_cache(self, client: DirectusClient, url: str, version: str) -> bool:
        """Clear the caches of a node unless another process does so, and return whether they were cleared."""
        attempts = await self._nodes.claim(url, version, LEASE)
        if attempts is None:
            return False
        try:
            await client.clear_cache(url)
        except DirectusError as error:
            wait = min(timedelta(seconds=2 ** min(attempts - 1, 12)), MAX_RETRY_WAIT)
            await self._nodes.reschedule(url, wait)
            seconds = wait.total_seconds()
            log.warning("directus_cache_not_cleared", url=url, attempts=attempts, seconds=seconds, reason=str(error))
            return False
        await self._nodes.record_success(url, version, MIN_PAUSE)
        log.info("directus_cache_cleared", url=url, attempts=attempts)
        return True

    async def _warn_once(self) -> None:
        adopted = select(func.count()).select_from(ORIGIN).where(ORIGIN.c.adopted)
        if (await self._services.reader.fetch(adopted))[0]:
            hint = (
                "Directus created this database, and caches permissions. If it still runs, set DIRECTUS_URL and "
                "DIRECTUS_TOKEN, so that withdrawn rights end there too; otherwise set DIRECTUS_URL=false."
            )
            log.warning("directus_not_configured", hint=hint)
        self._warned = True
