"""Tracks the last access of users and the last use of API tokens in memory, and writes both in batches."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import case, null, or_, select, update

from app.core.clock import Clock, utc_now
from app.core.errors import ServiceUnavailable
from app.db.database import Database
from app.db.models import API_TOKENS, User
from app.db.transaction import WriteTransaction
from app.query.sql_writes import in_list

MAX_USERS = 65_536
"""Maximum number of users, and of API tokens, in memory; requests of more are not recorded until the next flush."""
BATCH_SIZE = 1_000
"""Maximum number of users that one statement updates."""
TOKEN_BATCH_SIZE = 200
"""The same for API tokens: the statement has parameters for each."""
SHUTDOWN_FLUSH_SECONDS = 3.0
"""Timeout of the last flush, during shutdown."""
MAX_IP_LENGTH = 255

_USERS: Any = User.__table__
_TOKENS = API_TOKENS.c

log = structlog.get_logger(__name__)


class LastAccessTracker:
    """The users and API tokens of the requests since the last flush; recording one costs next to nothing."""

    def __init__(
        self, database: Database, clock: Clock = utc_now, *, max_users: int = MAX_USERS, batch_size: int = BATCH_SIZE
    ) -> None:
        self._database, self._clock = database, clock
        self._max_users, self._batch_size = max_users, batch_size
        self._users: dict[str, None] = {}
        self._tokens: dict[str, str | None] = {}

    def record(self, user: str | None) -> None:
        """Record a request of a user; None, an anonymous caller, is ignored."""
        if user is not None and len(self._users) < self._max_users:
            self._users[user] = None

    def record_token(self, token: str, ip: str | None) -> None:
        """Record a request with an API token, by its id, from an IP address."""
        if token in self._tokens or len(self._tokens) < self._max_users:
            self._tokens[token] = ip

    def discard(self, user: str | None, token: str | None = None) -> None:
        """Remove the records of a user and an API token whose credentials turned out to be invalid."""
        if user is not None:
            self._users.pop(user, None)
        if token is not None:
            self._tokens.pop(token, None)

    async def flush(self) -> None:
        """Write the current time as the last access of the recorded users and the last use of the API tokens.

        Raises:
            ServiceUnavailable: The database is unavailable; what was not written stays recorded.
        """
        await self._flush_users()
        await self._flush_tokens()

    async def _flush_users(self) -> None:
        users, self._users = list(self._users), {}
        try:
            while users:
                batch, now = users[-self._batch_size :], self._clock()
                await self._database.run_write(lambda writer: _write(writer, batch, now), exclusive=False)  # noqa: B023
                del users[-self._batch_size :]
        finally:
            for user in users:
                self.record(user)

    async def _flush_tokens(self) -> None:
        tokens, self._tokens = list(self._tokens.items()), {}
        try:
            while tokens:
                batch, now = dict(tokens[-TOKEN_BATCH_SIZE:]), self._clock()
                await self._database.run_write(lambda writer: _write_tokens(writer, batch, now), exclusive=False)  # noqa: B023
                del tokens[-TOKEN_BATCH_SIZE:]
        finally:
            for token, ip in tokens:
                if token not in self._tokens:  # recorded again meanwhile, perhaps from another address
                    self.record_token(token, ip)

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


async def _write_tokens(writer: WriteTransaction, uses: Mapping[str, str | None], now: datetime) -> None:
    """Write the last use of API tokens, by the IP address it came from; locked rows are skipped here, too."""
    is_older = or_(_TOKENS.last_used.is_(None), _TOKENS.last_used < now)
    outdated = select(_TOKENS.id).where(in_list(_TOKENS.id, list(uses)), is_older)
    unlocked = outdated.order_by(_TOKENS.id).with_for_update(key_share=True, skip_locked=True)
    known = [(_TOKENS.id == token, ip[:MAX_IP_LENGTH]) for token, ip in uses.items() if ip is not None]
    address = case(*known, else_=null()) if known else null()
    await writer.execute(update(API_TOKENS).where(_TOKENS.id.in_(unlocked)).values(last_used=now, last_used_ip=address))
