"""What has had its day: sessions, counters, mails and old activity are taken away a few at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, bindparam, delete, select, text, update

from app.db.base import Timestamp
from app.db.models import ATTEMPTS, OUTBOX, Activity, Revision, Session
from app.db.transaction import WriteTransaction
from app.query.sql_writes import in_list
from app.repositories.services import Services
from app.repositories.stores.outbox import SENT_RETENTION

BATCH_SIZE = 500
"""Rows of one transaction."""
TURN = (
    text(
        "INSERT INTO rollcall_tasks (name, due) VALUES (:name, :next) "
        "ON CONFLICT (name) DO UPDATE SET due = excluded.due WHERE rollcall_tasks.due <= :now RETURNING due"
    )
    .bindparams(
        bindparam("name", type_=String()), bindparam("next", type_=Timestamp()), bindparam("now", type_=Timestamp())
    )
    .columns(due=Timestamp())
)

_SESSIONS: Any = Session.__table__
_ACTIVITY: Any = Activity.__table__
_REVISIONS: Any = Revision.__table__


class RetentionStore:
    """Takes away a batch at a time, each in a transaction of its own; whatever takes away says how many rows.

    All raise ServiceUnavailable where the database is away.
    """

    def __init__(self, services: Services, batch_size: int = BATCH_SIZE) -> None:
        self._services, self.batch_size = services, batch_size

    async def claim_task(self, task: str, interval: timedelta) -> bool:
        """Whether a task is ours to do now: once for all processes in so much time."""
        now = self._services.clock()
        turn = TURN.bindparams(name=task, next=now + interval, now=now)

        async def work(writer: WriteTransaction) -> bool:
            return bool(await writer.execute(turn))

        return await self._services.database.run_write(work, exclusive=False)

    async def delete_expired_sessions(self) -> int:
        """Sessions that nobody can use any more."""
        return await self._take(_SESSIONS, _SESSIONS.c.token, _SESSIONS.c.expires < self._services.clock())

    async def delete_expired_attempts(self) -> int:
        """Counts whose time is over."""
        return await self._take(ATTEMPTS, ATTEMPTS.c.subject, ATTEMPTS.c.expires < self._services.clock())

    async def delete_sent_mails(self) -> int:
        """Mails that have gone, and long enough ago."""
        return await self._take(OUTBOX, OUTBOX.c.id, OUTBOX.c.sent < self._services.clock() - SENT_RETENTION)

    async def delete_activity(self, before: datetime) -> int:
        """What was done before a moment, and with it the revisions that belong to it."""

        async def work(writer: WriteTransaction) -> int:
            old = select(_ACTIVITY.c.id).where(_ACTIVITY.c.timestamp < before).order_by(_ACTIVITY.c.timestamp)
            keys = await _keys(writer, old.limit(self.batch_size))
            await _disown(writer, select(_REVISIONS.c.id).where(in_list(_REVISIONS.c.activity, keys)))
            await writer.execute(delete(_ACTIVITY).where(in_list(_ACTIVITY.c.id, keys)))
            return len(keys)

        return await self._services.database.run_write(work, exclusive=False)

    async def delete_revisions(self, before: datetime) -> int:
        """Revisions that were made before a moment."""

        async def work(writer: WriteTransaction) -> int:
            old = select(_REVISIONS.c.id).join(_ACTIVITY, _ACTIVITY.c.id == _REVISIONS.c.activity)
            keys = await _keys(writer, old.where(_ACTIVITY.c.timestamp < before).limit(self.batch_size))
            await _disown(writer, select(_REVISIONS.c.id).where(in_list(_REVISIONS.c.id, keys)))
            await writer.execute(delete(_REVISIONS).where(in_list(_REVISIONS.c.id, keys)))
            return len(keys)

        return await self._services.database.run_write(work, exclusive=False)

    async def _take(self, table: Any, key: ColumnElement[Any], over: ColumnElement[bool]) -> int:
        """Takes away rows whose time is over, but for those that somebody else is writing to at this moment."""

        async def work(writer: WriteTransaction) -> int:
            keys = await _keys(writer, select(key).where(over).limit(self.batch_size).with_for_update(skip_locked=True))
            await writer.execute(delete(table).where(in_list(key, keys)))
            return len(keys)

        return await self._services.database.run_write(work, exclusive=False)


async def _keys(writer: WriteTransaction, asked: Any) -> Sequence[Any]:
    return [key for (key,) in await writer.rows(writer.prepare(asked))]


async def _disown(writer: WriteTransaction, revisions: Any) -> None:
    """Whatever came along with one of these revisions stands for itself: nothing may point at what is gone."""
    children = _REVISIONS.c.parent.in_(revisions)
    await writer.execute(update(_REVISIONS).where(children).values(parent=None))
