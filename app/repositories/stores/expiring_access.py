"""The access rows that expire soon or have expired, each claimed once by one of all processes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, func, insert, select, update

from app.core.timestamps import StoredTime, format_timestamp
from app.db.models import ACCESS_EXPIRY, Access, Activity, User
from app.db.transaction import WriteTransaction
from app.query.sql_writes import in_list
from app.repositories.services import Services
from app.repositories.stores.outbox import Outbox

BATCH_SIZE = 500
"""Maximum number of rows that one transaction claims."""
MAIL_KIND = "access_ends"
EXPIRE = "expire"
"""The action of an activity which says that an access row has expired."""

_ACCESS: Any = Access.__table__
_USERS: Any = User.__table__
_ACTIVITY: Any = Activity.__table__
_EXPIRES = ACCESS_EXPIRY.c.expires


@dataclass(frozen=True, slots=True)
class ExpiringAccess:
    """An access row with an end; `email` is that of the active user whom it attaches a policy to, if there is one."""

    id: str
    policy: str
    role: str | None
    user: str | None
    email: str | None
    expires: StoredTime


class ExpiringAccessStore:
    """Claims access rows; every method is its own transaction, and raises ServiceUnavailable without a database."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def announce(self, notice: timedelta) -> list[ExpiringAccess]:
        """Queue a mail to each user some of whose access ends within `notice`; return the access rows."""
        now = self._services.clock()
        is_near = and_(now < _EXPIRES, now + notice >= _EXPIRES, ACCESS_EXPIRY.c.announced.is_(None))

        async def work(writer: WriteTransaction) -> list[ExpiringAccess]:
            rows = await _claim(writer, ACCESS_EXPIRY.c.announced, is_near, now)
            ends: dict[str, str] = {}
            for row in rows:  # the earliest come first
                if row.email and (end := format_timestamp(row.expires)):
                    ends.setdefault(row.email, end)
            for email, end in ends.items():
                await Outbox(writer, self._services).enqueue(MAIL_KIND, email, {"expires": end})
            return rows

        return await self._run(work, is_near)

    async def record(self) -> list[ExpiringAccess]:
        """Record in the activity that access rows have expired, with the times at which they did; return them."""
        now = self._services.clock()
        is_over = and_(now >= _EXPIRES, ACCESS_EXPIRY.c.recorded.is_(None))

        async def work(writer: WriteTransaction) -> list[ExpiringAccess]:
            rows = await _claim(writer, ACCESS_EXPIRY.c.recorded, is_over, now)
            for row in rows:
                values = {"action": EXPIRE, "collection": _ACCESS.name, "item": row.id, "timestamp": row.expires}
                await writer.execute(insert(_ACTIVITY).values(values))
            return rows

        return await self._run(work, is_over)

    async def _run(self, work: Any, condition: ColumnElement[bool]) -> list[ExpiringAccess]:
        """Run a transaction, but only if it has something to do, because SQLite has a single writer."""
        due = select(func.count()).select_from(ACCESS_EXPIRY).where(condition)
        if not (await self._services.reader.fetch(due))[0]:
            return []
        rows: list[ExpiringAccess] = await self._services.database.run_write(work, exclusive=False, background=True)
        return rows


async def _claim(
    writer: WriteTransaction, mark: Column[Any], condition: ColumnElement[bool], now: datetime
) -> list[ExpiringAccess]:
    """Mark a batch of rows, the earliest ends first, and return those that no other process has marked before."""
    key = ACCESS_EXPIRY.c.access
    batch = select(key).where(condition).order_by(_EXPIRES).limit(BATCH_SIZE).with_for_update(skip_locked=True)
    keys = [row[0] for row in await writer.rows(writer.prepare(batch))]
    await writer.execute(update(ACCESS_EXPIRY).where(in_list(key, keys)).values({mark: now}))
    is_holder = and_(_USERS.c.id == _ACCESS.c.user, _USERS.c.status == "active")
    source = ACCESS_EXPIRY.join(_ACCESS, _ACCESS.c.id == key).outerjoin(_USERS, is_holder)
    cells = (_ACCESS.c.id, _ACCESS.c.policy, _ACCESS.c.role, _ACCESS.c.user, _USERS.c.email, _EXPIRES)
    rows = select(*cells).select_from(source).where(in_list(key, keys)).order_by(_EXPIRES, key)
    return [ExpiringAccess(*row) for row in await writer.rows(writer.prepare(rows))]
