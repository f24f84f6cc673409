"""The event feed: hands each commit's events to one handler, from the moment on at which it began."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

import structlog

from app.core.errors import ServiceUnavailable
from app.repositories.services import Services
from app.repositories.stores.events import CHANNEL, LEASE_SECONDS, EventBatch, EventStore, FeedPosition, notifies

POLL_SECONDS = 0.1
"""Pause between two looks for events where the database notifies of none."""
FALLBACK_POLL_SECONDS = 1.0
"""The same where it notifies: a notification may be lost."""
COLLECT_SECONDS = 0.02
"""Pause after a notification, in which further commits are collected."""
RENEW_SECONDS = LEASE_SECONDS / 4
MAX_RETRY_SECONDS = 10.0

Handler = Callable[[EventBatch], Awaitable[None]]

log = structlog.get_logger(__name__)


class EventFeed:
    """Reads events in the background while it is running, and calls `handle` for each batch in order.

    Events are read only while it is `wanted`; the first batch after a pause has no events, only a position. If the
    database is unavailable, the feed goes on where it stopped once it is back. A batch whose handler fails is followed
    by one that is incomplete, and so is a time in which commits may have had no events.
    """

    def __init__(self, services: Services, handle: Handler) -> None:
        self._store, self._database, self._dialect = EventStore(services), services.database, services.dialect
        self._handle = handle
        self._woken, self._wanted = asyncio.Event(), asyncio.Event()
        self._position: FeedPosition | None = None
        self._history, self._has_gap, self._is_incomplete = "", False, False
        """What the last position said of earlier commits; whether some may have no events; and whether the next batch
        must be incomplete."""
        self._metrics, self._read_at = services.metrics, monotonic()
        self.is_ready = False
        """Whether every commit has its events by now: not before the transactions that were running have ended."""

    @property
    def lag(self) -> float:
        """Seconds since the last moment at which every event had been read and delivered; 0 while none is wanted."""
        return monotonic() - self._read_at if self.wanted else 0.0

    @property
    def wanted(self) -> bool:
        """Whether anything needs the events."""
        return self._wanted.is_set()

    @wanted.setter
    def wanted(self, value: bool) -> None:
        if value and not self.wanted:
            self._read_at = monotonic()
            self._wanted.set()
        elif not value:
            self._wanted.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Capture events, and hand them on while the block runs."""
        async with self._database.listener(CHANNEL).running(self._woken.set):
            tasks = [asyncio.create_task(work(), name="event_feed") for work in (self._capture, self._read)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _capture(self) -> None:
        """Renew the lease for as long as the feed is running, and find out when all writes obey it."""
        renewed, failures = -float("inf"), 0
        while True:
            try:
                if monotonic() >= renewed + RENEW_SECONDS:
                    await self._store.renew_capture()
                    self._note_history(await self._store.position())
                    renewed = monotonic()
                    await self._store.delete_old()
                if not self.is_ready:
                    await self._check_capture()
                failures = 0
            except ServiceUnavailable:
                failures += 1
            except Exception:  # without the lease no commit has events, so it must be renewed later
                failures += 1
                log.exception("job_failed", job="event_feed")
            await asyncio.sleep(min(2**failures, MAX_RETRY_SECONDS))

    async def _check_capture(self) -> None:
        """Become ready if every commit has its events by now."""
        if not await self._store.is_capture_complete():
            log.info("event_capture_waiting")
            return
        log.info("event_capture_started")
        self.is_ready = True
        if self._has_gap:  # a transaction that was running during the gap may have been committed without events
            self._has_gap, self._is_incomplete = False, True

    def _note_history(self, position: FeedPosition) -> None:
        """Stop being ready if commits may have had no events since the position before."""
        if self._history not in ("", position.history):
            self.is_ready, self._has_gap = False, True
        self._history = position.history

    async def _read(self) -> None:
        failures = 0
        while True:
            await self._wanted.wait()
            try:
                await self._read_batch()
                failures = 0
            except ServiceUnavailable as error:
                failures += 1
                if failures == 1:
                    log.warning("job_waiting_for_database", job="event_feed", error=error.text)
            except Exception:  # the next batch lets the handler begin anew
                failures += 1
                log.exception("job_failed", job="event_feed")
                self._is_incomplete = True
            await self._pause(failures)

    async def _read_batch(self) -> None:
        if self._position is None or self._is_incomplete:
            await self._begin()
            self._read_at = monotonic()
            return
        started = monotonic()
        batch = await self._store.read(self._position)
        self._note_history(batch.position)
        await self._handle(batch)
        self._read_at = started
        if batch.events:
            self._metrics.realtime_events.add(amount=len(batch.events))
            self._metrics.realtime_delays.observe(monotonic() - started)
        self._position = batch.position if self.wanted else None

    async def _begin(self) -> None:
        """Hand on a position without events; the batch is incomplete if some are missing before it."""
        position = await self._store.position()
        self._note_history(position)
        is_incomplete, self._is_incomplete = self._is_incomplete, False
        try:
            await self._handle(EventBatch((), position, incomplete=is_incomplete))
        except BaseException:
            self._is_incomplete = is_incomplete or self._is_incomplete
            raise
        self._position = position

    async def _pause(self, failures: int) -> None:
        if failures:
            await asyncio.sleep(min(2**failures / 10, MAX_RETRY_SECONDS))
            return
        if not notifies(self._dialect):
            await asyncio.sleep(POLL_SECONDS)
            return
        try:
            async with asyncio.timeout(FALLBACK_POLL_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()
        await asyncio.sleep(COLLECT_SECONDS)
