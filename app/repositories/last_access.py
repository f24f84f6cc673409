"""Tracks users' last access in memory and writes it to the database in batches."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import or_, select, update

from app.core.clock import Clock, utc_now
from app.core.errors import ServiceUnavailable
from app.db.database import Database
from app.db.models import User
from app.db.transaction import WriteTransaction
from app.query.sql_writes import in_list

MAX_USERS = 65_536
"""Maximum number of users in memory; requests of further users are not recorded until the next flush."""
BATCH_SIZE = 1_000
"""Maximum number of users that one statement updates."""
SHUTDOWN_FLUSH_SECONDS = 3.0
"""Timeout of the last flush, during shutdown."""

_USERS: Any = User.__table__

log = structlog.get_logger(__name__)


class LastAccessTracker:
    """The users who made requests since the last flush; recording one costs next to nothing."""

    def __init__(
        self, database: Database, clock: Clock = utc_now, *, max_users: int = MAX_USERS, batch_size: int = BATCH_SIZE
    ) -> None:
        self._database, self._clock = database, clock
        self._max_users, self._batch_size = max_users, batch_size
        self._users: dict[str, None] = {}

    def record(self, user: str | None) -> None:
        """Record a request of a user; None, an anonymous caller, is ignored."""
        if user is not None and len(self._users) < self._max_users:
            self._users[user] = None

    def discard(self, user: str | None) -> None:
        """Remove the record of a user whose credentials turned out to be invalid."""
        if user is not None:
            self._users.pop(user, None)

    async def flush(self) -> None:
        """Write the current time as the last access of the recorded users.

        Raises:
            ServiceUnavailable: The database is unavailable; users who were not written stay recorded.
        """
        users, self._users = list(self._users), {}
        try:
            while users:
                batch, now = users[-self._batch_size :], self._clock()
                await self._database.run_write(lambda writer: _write(writer, batch, now), exclusive=False)  # noqa: B023
                del users[-self._batch_size :]
        finally:
            for user in users:
                self.record(user)

    @asynccontextmanager
    async def running(self, interval: timedelta) -> AsyncIterator[None]:
        """Flush once per interval while the context is open, and again at its end; never if the interval is zero."""
        if not interval:
            yield
            return
        task = asyncio.ensure_future(self._flush_periodically(interval.total_seconds()))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with suppress(ServiceUnavailable, TimeoutError):
                async with asyncio.timeout(SHUTDOWN_FLUSH_SECONDS):
                    await self.flush()

    async def _flush_periodically(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.flush()
            except ServiceUnavailable as error:
                log.warning("last_access_flush_failed", error=error.text)
            except Exception:  # the next flush may succeed
                log.exception("last_access_flush_failed")


async def _write(writer: WriteTransaction, users: Sequence[str], now: datetime) -> None:
    """Write the last access of users; rows that another transaction has locked are skipped, so that none waits."""
    is_older = or_(_USERS.c.last_access.is_(None), _USERS.c.last_access < now)
    outdated = select(_USERS.c.id).where(in_list(_USERS.c.id, users), is_older)
    unlocked = outdated.order_by(_USERS.c.id).with_for_update(key_share=True, skip_locked=True)
    await writer.execute(update(_USERS).where(_USERS.c.id.in_(unlocked)).values(last_access=now))
