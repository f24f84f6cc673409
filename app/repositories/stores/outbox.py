"""The outbox: mails to send, queued in the same transaction as the change they are about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ClauseElement, and_, case, delete, func, insert, select, update

from app.db.models import OUTBOX
from app.db.transaction import WriteTransaction
from app.repositories.services import Services
from app.repositories.stores.login_attempts import AttemptCounter, account_key


class Outbox:
    """Queues mails within a transaction."""

    def __init__(self, writer: WriteTransaction, services: Services) -> None:
        self._writer, self._services = writer, services

    async def enqueue(self, kind: str, recipient: str, data: Mapping[str, Any]) -> bool:
        """Queue a mail of this kind and return True; `data` is the input of its template, without a valid token.

        Nothing is queued, and False is returned, if another one of this kind to this recipient was queued less than
        EMAIL_MIN_INTERVAL ago.
        """
        interval = self._services.settings.email_min_interval
        if interval and await self._count(kind, recipient, interval) > 1:
            return False
        now = self._services.clock()
        row = {"kind": kind, "recipient": recipient, "data": dict(data), "due": now, "queued": now, "attempts": 0}
        await self._writer.execute(insert(OUTBOX).values(row))
        self._services.mail_queued.set()
        return True

    async def _count(self, kind: str, recipient: str, interval: timedelta) -> int:
        """Count a mail within the transaction, so that of two concurrent ones the second is counted as the second."""
        return await AttemptCounter(self._services, "mail", interval).count_within(
            self._writer, (kind, *account_key(recipient))
        )


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail claimed from the outbox; `attempts` includes the current one."""

    id: int
    kind: str
    recipient: str = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)
    attempts: int


@dataclass(frozen=True, slots=True)
class OutboxSummary:
    """How many mails are queued, without anything about a recipient.

    `earliest_due` is when the next attempt is due, `retried` counts the mails with a failed attempt, `max_attempts`
    is the largest number of attempts of one mail, and `earliest_queued` is when the oldest mail was queued.
    """

    count: int
    retried: int
    max_attempts: int
    earliest_due: datetime | str | None
    earliest_queued: datetime | str | None


class OutboxQueue:
    """The outbox as seen by the outbox worker; every call is its own transaction.

    Every method raises ServiceUnavailable if the database is unavailable.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def count_due(self) -> int:
        """Return the number of mails that are due."""
        count = select(func.count()).select_from(OUTBOX).where(self._is_due())
        return int((await self._services.reader.fetch(count))[0])

    async def summary(self) -> OutboxSummary:
        """Return how many mails are queued, and how many of them have failed before."""
        failed = func.coalesce(func.sum(case((OUTBOX.c.attempts > 1, 1), else_=0)), 0)
        attempts = func.coalesce(func.max(OUTBOX.c.attempts), 0)
        oldest = func.min(func.coalesce(OUTBOX.c.queued, OUTBOX.c.due))  # a former version notes only when it is due
        columns = (func.count(), failed, attempts, func.min(OUTBOX.c.due), oldest)
        row = await self._services.reader.fetch(select(*columns).select_from(OUTBOX).where(OUTBOX.c.sent.is_(None)))
        return OutboxSummary(int(row[0]), int(row[1]), int(row[2]), row[3], row[4])

    async def claim(self, lease: timedelta) -> QueuedMail | None:
        """Return a mail that is due, exclusively for the duration of the lease; None if there is none.

        The attempt is counted now. After the lease the mail is due again, so a crash during sending only delays it.
        """
        first = select(OUTBOX.c.id).where(self._is_due()).order_by(OUTBOX.c.due, OUTBOX.c.id).limit(1)
        is_claimed = OUTBOX.c.id == first.with_for_update(skip_locked=True).scalar_subquery()
        values = {"due": self._services.clock() + lease, "attempts": OUTBOX.c.attempts + 1}
        columns = (OUTBOX.c.id, OUTBOX.c.kind, OUTBOX.c.recipient, OUTBOX.c.data, OUTBOX.c.attempts)
        claim = update(OUTBOX).where(is_claimed).values(values).returning(*columns)

        async def work(writer: WriteTransaction) -> QueuedMail | None:
            rows = await writer.rows(writer.prepare(claim))
            return QueuedMail(*rows[0]) if rows else None

        return await self._services.database.run_write(work, exclusive=False)

    async def delete(self, mail: int) -> None:
        """Delete a mail that was sent or given up, with its recipient and data."""
        await self._execute(delete(OUTBOX).where(OUTBOX.c.id == mail))

    async def reschedule(self, mail: int, wait: timedelta) -> None:
        """Make a mail due again after `wait`."""
        await self._execute(update(OUTBOX).where(OUTBOX.c.id == mail).values(due=self._services.clock() + wait))

    async def _execute(self, statement: ClauseElement) -> None:
        await self._services.database.run_write(lambda writer: writer.execute(statement), exclusive=False)

    def _is_due(self) -> Any:
        now: datetime = self._services.clock()
        return and_(OUTBOX.c.sent.is_(None), OUTBOX.c.due <= now)
