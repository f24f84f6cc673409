"""Who was here: the users that ask something, remembered, and now and then written down for all of them at once."""

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
"""Users that are remembered at once; who comes beyond that is noticed the next time."""
BATCH_SIZE = 1_000
"""Users of one statement."""
SHUTDOWN_FLUSH_SECONDS = 3.0
"""Seconds that the server's end waits for the last of them to be written."""

_USERS: Any = User.__table__

log = structlog.get_logger(__name__)


class LastAccessTracker:
    """The users who asked something since that was written down last; to be noticed costs next to nothing."""

    def __init__(
        self, database: Database, clock: Clock = utc_now, *, max_users: int = MAX_USERS, batch_size: int = BATCH_SIZE
    ) -> None:
        self._database, self._clock = database, clock
        self._max_users, self._batch_size = max_users, batch_size
        self._users: dict[str, None] = {}

    def record(self, user: str | None) -> None:
        """Somebody asks something; nobody in particular is nothing to remember."""
        if user is not None and len(self._users) < self._max_users:
            self._users[user] = None

    def discard(self, user: str | None) -> None:
        """Whoever asked wasn't that user after all, or isn't any more."""
        if user is not None:
            self._users.pop(user, None)

    async def flush(self) -> None:
        """Writes down that they were here until now; raises ServiceUnavailable, and remembers them still."""
        here, self._users = list(self._users), {}
        try:
            while here:
                some, now = here[-self._batch_size :], self._clock()
                await self._database.run_write(lambda writer: _write(writer, some, now), exclusive=False)  # noqa: B023
                del here[-self._batch_size :]
        finally:
            for user in here:
                self.record(user)

    @asynccontextmanager
    async def running(self, interval: timedelta) -> AsyncIterator[None]:
        """Meanwhile it is written down so often, and once more at the end; never where there is no time between."""
        if not interval:
            yield
            return
        writing = asyncio.ensure_future(self._flush_periodically(interval.total_seconds()))
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            with suppress(ServiceUnavailable, TimeoutError):
                async with asyncio.timeout(SHUTDOWN_FLUSH_SECONDS):
                    await self.flush()

    async def _flush_periodically(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.flush()
            except ServiceUnavailable as error:
                log.warning("presence_not_written", error=error.text)
            except Exception:  # whatever it was, the next time may go well
                log.exception("presence_not_written")


async def _write(writer: WriteTransaction, users: Sequence[str], now: datetime) -> None:
    """What somebody else is writing to at this moment is left out: to wait would be to stand in each other's way."""
    older = or_(_USERS.c.last_access.is_(None), _USERS.c.last_access < now)
    wanted = select(_USERS.c.id).where(in_list(_USERS.c.id, users), older)
    free = wanted.order_by(_USERS.c.id).with_for_update(key_share=True, skip_locked=True)
    await writer.execute(update(_USERS).where(_USERS.c.id.in_(free)).values(last_access=now))
