"""The outbox: mails that are to go, written down in the transaction of what they speak of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, insert, select, update

from app.db.models import OUTBOX
from app.db.transaction import WriteTransaction
from app.repositories.services import Services

SENT_RETENTION = timedelta(days=1)
"""How long it is remembered that a mail has gone."""


class Outbox:
    """The outbox, within one transaction."""

    def __init__(self, writer: WriteTransaction, services: Services) -> None:
        self._writer, self._services = writer, services

    async def enqueue(self, kind: str, recipient: str, data: Mapping[str, Any]) -> None:
        """A mail of this kind to be sent to an address; `data` is what it says, never a live token."""
        row = {
            "kind": kind,
            "recipient": recipient,
            "data": dict(data),
            "due": self._services.clock(),
            "attempts": 0,
        }
        await self._writer.execute(insert(OUTBOX).values(row))
        self._services.mail_queued.set()


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail out of the outbox; `attempts` counts this one too."""

    id: int
    kind: str
    recipient: str = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)
    attempts: int


class OutboxQueue:
    """The outbox, for whoever sends what is in it; each call is a transaction of its own.

    All raise ServiceUnavailable where the database is away.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def count_due(self) -> int:
        """How many mails are to be sent now."""
        waiting = select(func.count()).select_from(OUTBOX).where(self._due())
        return int((await self._services.reader.fetch(waiting))[0])

    async def claim(self, lease: timedelta) -> QueuedMail | None:
        """A mail that nobody else is given while the lease lasts; None where nothing is due.

        The attempt is counted before it is made, and when the lease is over the mail is due again: whoever dies with
        it has only put it off.
        """
        first = select(OUTBOX.c.id).where(self._due()).order_by(OUTBOX.c.due, OUTBOX.c.id).limit(1)
        mine = OUTBOX.c.id == first.with_for_update(skip_locked=True).scalar_subquery()
        told = {"due": self._services.clock() + lease, "attempts": OUTBOX.c.attempts + 1}
        columns = (OUTBOX.c.id, OUTBOX.c.kind, OUTBOX.c.recipient, OUTBOX.c.data, OUTBOX.c.attempts)
        claimed = update(OUTBOX).where(mine).values(told).returning(*columns)

        async def work(writer: WriteTransaction) -> QueuedMail | None:
            rows = await writer.rows(writer.prepare(claimed))
            return QueuedMail(*rows[0]) if rows else None

        return await self._services.database.run_write(work, exclusive=False)

    async def mark_done(self, mail: int) -> None:
        """A mail is done with: its row says neither to whom it went nor what it said."""
        now = self._services.clock()
        # What is due later than anybody asks for is in the way of no search for what is due.
        await self._change(mail, {"recipient": None, "data": None, "sent": now, "due": now + SENT_RETENTION})

    async def reschedule(self, mail: int, wait: timedelta) -> None:
        """A mail is tried again when so much time has passed."""
        await self._change(mail, {"due": self._services.clock() + wait})

    async def _change(self, mail: int, values: Mapping[str, Any]) -> None:
        change = update(OUTBOX).where(OUTBOX.c.id == mail, OUTBOX.c.sent.is_(None)).values(values)
        await self._services.database.run_write(lambda writer: writer.execute(change), exclusive=False)

    def _due(self) -> Any:
        moment: datetime = self._services.clock()
        return and_(OUTBOX.c.sent.is_(None), OUTBOX.c.due <= moment)
