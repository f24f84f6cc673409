"""The command that replaces the caller's own password."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from app.core.caller import ClientInfo
from app.query.payload import Payload
from app.repositories.engine.commands import Update
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.stores.sessions import SessionGrant, SessionStore


@dataclass(slots=True)
class ChangeOwnPassword:
    """Updates the password, which ends all sessions of the user, and begins a new one in the same transaction.

    `grant` is that session, once the command has run.
    """

    update: Update
    user: str
    client_info: ClientInfo
    session_ttl: timedelta
    grant: SessionGrant | None = None
    action: str = field(default="update", init=False)

    @property
    def updated_keys(self) -> Sequence[str]:
        return (self.user,)

    def payloads(self) -> Iterable[Payload]:
        return self.update.payloads()

    async def apply(self, work: UnitOfWork) -> list[Any]:
        keys = await self.update.apply(work)
        sessions = SessionStore(work.writer, work.services)
        self.grant = await sessions.begin(self.user, self.session_ttl, work.caller, self.client_info)
        return keys
