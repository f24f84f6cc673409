"""Listens for PostgreSQL's notifications on a connection of its own, which is opened again when it breaks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.cancellation import background_task
from app.db.base import POSTGRESQL
from app.db.drivers import driver_errors
from app.db.engine import create_listen_engine

RECONNECT_SECONDS = 1.0

log = structlog.get_logger(__name__)


class NotificationListener:
    """Calls a function whenever a transaction has notified on a channel, and when the connection is open again.

    A notification is a hint that may be lost: a pooler may drop it, and none arrives while the connection is broken.
    On SQLite and behind a `pooler` in transaction mode, which has no session to listen in, there are none.
    """

    def __init__(self, url: URL, channel: str, *, pooler: bool = False) -> None:
        self._url, self._channel = url, channel
        self._has_notifications = url.get_backend_name() == POSTGRESQL and not pooler

    @asynccontextmanager
    async def running(self, notify: Callable[[], None]) -> AsyncIterator[None]:
        """Listen in the background while the block runs."""
        if not self._has_notifications:
            yield
            return
        engine = create_listen_engine(self._url)
        try:
            async with background_task(self._listen_forever(engine, notify), "notification_listener"):
                yield
        finally:
            await engine.dispose()

    async def _listen_forever(self, engine: AsyncEngine, notify: Callable[[], None]) -> None:
        while True:
            try:
                await self._listen(engine, notify)
            except driver_errors(POSTGRESQL).unreachable as error:
                log.warning("database_unavailable", error=type(error.__cause__ or error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, engine: AsyncEngine, notify: Callable[[], None]) -> None:
        """Listen until the connection breaks."""
        owner, closed = await engine.raw_connection(), asyncio.Event()
        driver: Any = owner.driver_connection
        try:
            driver.add_termination_listener(lambda _: closed.set())
            await driver.add_listener(self._channel, lambda *_: notify())
            notify()
            await closed.wait()
        finally:
            driver.terminate()
            owner.invalidate()
