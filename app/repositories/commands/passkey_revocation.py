"""The command with which an admin deletes a passkey of another user."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import Forbidden
from app.db.models import PASSKEYS
from app.query.payload import Payload
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.stores.passkeys import PasskeyStore


@dataclass(frozen=True, slots=True)
class RevokePasskeyOfUser:
    """Deletes a passkey of another user, as an admin: changing how a user signs in takes all rights of that user."""

    passkey: str
    user: str
    action: str = field(default="update", init=False)

    def payloads(self) -> Iterable[Payload]:
        return ()

    async def apply(self, work: UnitOfWork) -> list[Any]:
        if not work.access.admin or not await PasskeyStore(work.writer, work.services).delete(self.passkey, self.user):
            raise Forbidden
        work.affected.users_with_new_credentials.add(self.user)
        await work.audit_log.record_in("delete", PASSKEYS.name, self.passkey)
        return [self.user]
