"""Deletes expired sessions and counters, sent mails and old activity in batches."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, String, bindparam, delete, select, text, true, update

from app.db.base import Timestamp
from app.db.models import ATTEMPTS, OUTBOX, PASSWORD_HISTORY, USED_SIGN_INS, Activity, Revision, Session
from app.db.transaction import WriteTransaction
from app.query.sql_writes import in_list
from app.repositories.services import Services

BATCH_SIZE = 500
"""Maximum number of rows that one transaction deletes."""
CLAIM_TASK = (
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
    """Deletes rows that are no longer needed, one batch per call.

    Every `delete_*` method deletes at most `batch_size` rows in its own transaction and returns their number. All
    methods raise ServiceUnavailable if the database is unavailable.
    """

    def __init__(self, services: Services, batch_size: int = BATCH_SIZE) -> None:
        self._services, self.batch_size = services, batch_size

    async def claim_task(self, task: str, interval: timedelta) -> bool:
        """Return whether this process must run a task now; one process claims it per interval."""
        now = self._services.clock()
        claim = CLAIM_TASK.bindparams(name=task, next=now + interval, now=now)

        async def work(writer: WriteTransaction) -> bool:
            return bool(await writer.execute(claim))

        return await self._services.database.run_write(work, exclusive=False, background=True)

    async def delete_expired_sessions(self) -> int:
        """Delete expired sessions."""
        return await self._delete_batch(_SESSIONS, _SESSIONS.c.token, _SESSIONS.c.expires < self._services.clock())

    async def delete_expired_attempts(self) -> int:
        """Delete expired attempt counters."""
        return await self._delete_batch(ATTEMPTS, ATTEMPTS.c.subject, ATTEMPTS.c.expires < self._services.clock())

    async def delete_expired_sign_ins(self) -> int:
        """Delete the record of sign-ins at a provider whose time is over."""
        expired = USED_SIGN_INS.c.expires < self._services.clock()
        return await self._delete_batch(USED_SIGN_INS, USED_SIGN_INS.c.hash, expired)

    async def delete_former_passwords(self) -> int:
        """Delete the hashes of former passwords, as no new one is compared with them any longer."""
        return await self._delete_batch(PASSWORD_HISTORY, PASSWORD_HISTORY.c.id, true())

    async def delete_sent_mails(self) -> int:
        """Delete mails that an earlier version sent, which did not delete them itself."""
        return await self._delete_batch(OUTBOX, OUTBOX.c.id, OUTBOX.c.sent.is_not(None))

    async def delete_activity(self, before: datetime) -> int:
        """Delete activity older than `before`, together with its revisions."""

        async def work(writer: WriteTransaction) -> int:
            old = select(_ACTIVITY.c.id).where(_ACTIVITY.c.timestamp < before).order_by(_ACTIVITY.c.timestamp)
            keys = await _keys(writer, old.limit(self.batch_size))
            await _detach_children(writer, select(_REVISIONS.c.id).where(in_list(_REVISIONS.c.activity, keys)))
            await writer.execute(delete(_ACTIVITY).where(in_list(_ACTIVITY.c.id, keys)))
            return len(keys)

        return await self._services.database.run_write(work, exclusive=False, background=True)

    async def delete_revisions(self, before: datetime) -> int:
        """Delete revisions older than `before`."""

        async def work(writer: WriteTransaction) -> int:
            old = select(_REVISIONS.c.id).join(_ACTIVITY, _ACTIVITY.c.id == _REVISIONS.c.activity)
            keys = await _keys(writer, old.where(_ACTIVITY.c.timestamp < before).limit(self.batch_size))
            await _detach_children(writer, select(_REVISIONS.c.id).where(in_list(_REVISIONS.c.id, keys)))
            await writer.execute(delete(_REVISIONS).where(in_list(_REVISIONS.c.id, keys)))
            return len(keys)

        return await self._services.database.run_write(work, exclusive=False, background=True)

    async def _delete_batch(self, table: Any, key: ColumnElement[Any], condition: ColumnElement[bool]) -> int:
        """Delete a batch of the rows that match, except rows that another transaction has locked."""

        async def work(writer: WriteTransaction) -> int:
            matching = select(key).where(condition).limit(self.batch_size)
            keys = await _keys(writer, matching.with_for_update(skip_locked=True))
            await writer.execute(delete(table).where(in_list(key, keys)))
            return len(keys)

        return await self._services.database.run_write(work, exclusive=False, background=True)


async def _keys(writer: WriteTransaction, statement: Select[Any]) -> Sequence[Any]:
    return [key for (key,) in await writer.rows(writer.prepare(statement))]


async def _detach_children(writer: WriteTransaction, revisions: Select[Any]) -> None:
    """Set the parent of these revisions' children to null, because their foreign key would prevent the deletion."""
    children = _REVISIONS.c.parent.in_(revisions)
    await writer.execute(update(_REVISIONS).where(children).values(parent=None))
