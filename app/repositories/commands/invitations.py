"""Commands that invite users, with mails queued in the same transaction, and that revoke an invitation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple

from app.core.errors import Forbidden
from app.query.collection import USERS
from app.query.payload import Payload
from app.repositories.engine.context import RowValues
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.rules.users import EMAIL, ID, INVITED, ROLE, STATUS
from app.repositories.stores.outbox import Outbox


class InvitationResult(Enum):
    """What an invitation did for an email."""

    CREATED = auto()
    INVITED_AGAIN = auto()
    SKIPPED = auto()
    """Another user has this email, or the same call has invited it before."""


class InvitationOutcome(NamedTuple):
    """What an invitation did for an email, and whether a mail was queued: EMAIL_MIN_INTERVAL limits their number.

    `user` and `email` are those of the invited user as stored; None if the email was skipped.
    """

    result: InvitationResult
    has_mail: bool = False
    user: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class InviteUsers:
    """Creates an invited user for each unused email, and queues a mail to each invited user.

    `users` are the users as the inviter would create them; the status is set without the inviter's permission. Users
    who are already invited get the new role, if there is one, and another mail. Other users with an email are skipped.
    `outcomes` are those of the users, in their order.
    """

    users: Sequence[Payload]
    url: str | None
    outcomes: list[InvitationOutcome] = field(default_factory=list)
    action: str = field(default="create", init=False)

    def payloads(self) -> Iterable[Payload]:
        return self.users

    async def apply(self, work: UnitOfWork) -> list[Any]:
        work.policy.rules(self.action, USERS)
        self.outcomes.clear()  # a transaction may be repeated
        invited: dict[Any, None] = {}
        for payload in self.users:
            row = await lock_user_by_email(work, payload.values[EMAIL])
            if row is None:
                key = await work.create(payload, server_values={STATUS: INVITED})
                await self._enqueue_mail(work, key, payload.values[EMAIL], InvitationResult.CREATED)
            elif row[STATUS] == INVITED and (key := row[ID]) not in invited:
                await self._change_role(work, row, payload)
                await self._enqueue_mail(work, key, row[EMAIL], InvitationResult.INVITED_AGAIN)
            else:
                self.outcomes.append(InvitationOutcome(InvitationResult.SKIPPED))
                continue
            invited[key] = None
        return list(invited)

    @staticmethod
    async def _change_role(work: UnitOfWork, row: RowValues, payload: Payload) -> None:
        if payload.values.get(ROLE, row[ROLE]) != row[ROLE]:
            await work.update(USERS, [row[ID]], Payload(USERS, {ROLE: payload.values[ROLE]}))

    async def _enqueue_mail(self, work: UnitOfWork, user: str, recipient: str, result: InvitationResult) -> None:
        has_mail = await Outbox(work.writer, work.services).enqueue(
            "invite", recipient, {"user": user, "url": self.url}
        )
        self.outcomes.append(InvitationOutcome(result, has_mail, user, recipient))


@dataclass(frozen=True, slots=True)
class RevokeInvitation:
    """Deletes the invited user with an email, if there is one that the caller may delete."""

    email: str
    action: str = field(default="delete", init=False)

    def payloads(self) -> Iterable[Payload]:
        return ()

    async def apply(self, work: UnitOfWork) -> list[Any]:
        work.policy.rules(self.action, USERS)
        row = await lock_user_by_email(work, self.email)
        if row is None or row[STATUS] != INVITED:
            return []
        try:
            await work.delete(USERS, [row[ID]])
        except Forbidden:  # raised before any write; an error would reveal that the user exists
            return []
        return [row[ID]]


async def lock_user_by_email(work: UnitOfWork, email: str) -> RowValues | None:
    """Return the user with an email, ignoring case, and lock it until the end of the transaction; None if missing."""
    rows = work.rows(USERS)
    keys = (await rows.keys_by_email(EMAIL, email))[:1]  # the first of duplicates, as in AccountStore
    return next(iter((await rows.fetch_for_update(keys)).values()), None) if keys else None
