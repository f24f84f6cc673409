"""Invitations: users made, or found waiting, each with a mail of the same transaction; and taken away again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import Forbidden
from app.query.collection import USERS
from app.query.payload import Payload
from app.repositories.commands.accounts import INVITED
from app.repositories.engine.context import RowValues
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.rules.users import EMAIL, ID, ROLE, STATUS
from app.repositories.stores.outbox import Outbox


@dataclass(frozen=True, slots=True)
class InviteUsers:
    """Each of these addresses is invited, where nobody has it or somebody who is invited already.

    `written` are the users as their inviter would make them; that they are invited is nothing the inviter says. Who is
    already gets the role that is given, and another mail. Whoever else has an address isn't touched.
    """

    users: Sequence[Payload]
    url: str | None
    action: str = field(default="create", init=False)

    def payloads(self) -> Iterable[Payload]:
        return self.users

    async def apply(self, work: UnitOfWork) -> list[Any]:
        work.policy.rules(self.action, USERS)
        done: dict[Any, None] = {}
        for payload in self.users:
            row = await lock_user_by_email(work, payload.values[EMAIL])
            if row is None:
                key = await work.create(payload, server_values={STATUS: INVITED})
                await self._post(work, key, payload.values[EMAIL])
            elif row[STATUS] == INVITED and (key := row[ID]) not in done:
                await self._change_role(work, row, payload)
                await self._post(work, key, row[EMAIL])
            else:
                continue
            done[key] = None
        return list(done)

    @staticmethod
    async def _change_role(work: UnitOfWork, row: RowValues, payload: Payload) -> None:
        if payload.values.get(ROLE, row[ROLE]) != row[ROLE]:
            await work.update(USERS, [row[ID]], Payload(USERS, {ROLE: payload.values[ROLE]}))

    async def _post(self, work: UnitOfWork, user: str, recipient: str) -> None:
        await Outbox(work.writer, work.services).enqueue("invite", recipient, {"user": user, "url": self.url})


@dataclass(frozen=True, slots=True)
class RevokeInvitation:
    """The invited user with an address goes, as far as that is within its revoker's rights; else nothing happens."""

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
        except Forbidden:  # raised before anything is done; who is out of reach isn't told to be there
            return []
        return [row[ID]]


async def lock_user_by_email(work: UnitOfWork, email: str) -> RowValues | None:
    """Whoever has an address, whatever its case; nobody else changes that row until this is over."""
    rows = work.rows(USERS)
    keys = sorted(await rows.keys_by_email(EMAIL, email))[:1]  # the first of several, as everywhere
    return next(iter((await rows.fetch_for_update(keys)).values()), None) if keys else None
