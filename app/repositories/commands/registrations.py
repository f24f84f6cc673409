"""Registrations: what the project wants of strangers, and the users made of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from app.policy.unreadable_rules import PARSE_ERRORS, UnreadableRuleLog, unreadable_reason
from app.policy.validation import validate
from app.query.collection import USERS
from app.query.filter import parse_filter
from app.query.payload import Payload
from app.repositories.commands.accounts import UNVERIFIED
from app.repositories.commands.invitations import lock_user_by_email
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.project_settings import read_project_settings
from app.repositories.rules.users import EMAIL, ID, STATUS
from app.repositories.services import Services
from app.repositories.stores.outbox import Outbox

_SETTINGS = ("", "_verify_email", "_role", "_email_filter")
_NAMES = tuple(f"public_registration{name}" for name in _SETTINGS)


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """Whether strangers may register, whether their addresses are verified, the role they get, and who is welcome."""

    open: bool = False
    verify_email: bool = True
    role: str | None = None
    email_filter: Any = None

    def accepts(self, email: str, unreadable_rules: UnreadableRuleLog) -> bool:
        """Return whether an email address matches the project's filter. None does if the filter can't be read."""
        if self.email_filter is None:
            return True
        try:
            filter_ = parse_filter(USERS, self.email_filter, allow_payload_operators=True)
        except PARSE_ERRORS as error:
            unreadable_rules.report("registration filter", USERS.name, "create", unreadable_reason(error))
            return False
        return not validate(filter_, {EMAIL: email}, lambda *_: ())


async def read_registration_policy(services: Services) -> RegistrationPolicy:
    """The project's terms, as its settings have them now; where there are none, nobody may register."""
    settings = await read_project_settings(services, *_NAMES)
    return RegistrationPolicy(*(settings[name] for name in _NAMES)) if settings else RegistrationPolicy()


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """A stranger becomes a user, where nobody has their address; who has to be verified is sent a mail.

    So is who registered before and still has to be, and nothing else of theirs is touched.
    """

    user: Payload
    url: str | None
    action: str = field(default="create", init=False)

    def payloads(self) -> Iterable[Payload]:
        return (self.user,)

    async def apply(self, work: UnitOfWork) -> list[Any]:
        row = await lock_user_by_email(work, self.user.values[EMAIL])
        if row is None:
            row = {**self.user.values, ID: await work.create(self.user)}
        if row[STATUS] == UNVERIFIED:
            outbox = Outbox(work.writer, work.services)
            await outbox.enqueue("verify", row[EMAIL], {"user": row[ID], "url": self.url})
        return [row[ID]]
