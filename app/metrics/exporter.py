"""Collects the metrics of all processes of a server, for the endpoints that expose them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from app.metrics.metrics import Metrics
from app.metrics.shared_folder import WRITE_INTERVAL_SECONDS, SharedFolder
from app.metrics.snapshot import Snapshot

log = structlog.get_logger(__name__)


class MetricsExporter:
    """The metrics of a process, and of the others that share a folder with it, if any."""

    def __init__(self, metrics: Metrics, folder: SharedFolder | None = None) -> None:
        self._metrics, self._folder = metrics, folder
        self._writing = asyncio.Lock()

    @property
    def is_alone(self) -> bool:
        """Whether there are no other processes."""
        return self._folder is None

    def current(self) -> Snapshot:
        """Return the metrics of this process alone."""
        return self._metrics.snapshot()

    async def collect(self) -> Snapshot:
        """Return the metrics of all processes: those of this one as they are now, of others as of a second ago.

        Raises:
            OSError: The shared folder can't be used.
        """
        if self._folder is None:
            return self._metrics.snapshot()
        await self._write(self._folder)
        return await asyncio.to_thread(self._folder.read)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write the metrics of this process to the shared folder again and again, and at the end once more."""
        if self._folder is None:
            yield
            return
        task = asyncio.create_task(self._write_forever(self._folder), name="metrics")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._write(self._folder, is_last=True)

    async def _write_forever(self, folder: SharedFolder) -> None:
        while True:
            try:
                await self._write(folder)
            except OSError as error:
                log.warning("metrics_not_written", error=error.strerror)
            await asyncio.sleep(WRITE_INTERVAL_SECONDS)

    async def _write(self, folder: SharedFolder, *, is_last: bool = False) -> None:
        async with self._writing:  # an earlier snapshot must not replace a later one
            snapshot = self._metrics.snapshot()
            await asyncio.to_thread(folder.write, snapshot.without_gauges() if is_last else snapshot)
