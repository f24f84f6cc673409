"""The project's registration policy, and the command that registers a user."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any

from app.core.request_budget import RequestBudget
from app.policy.unreadable_rules import PARSE_ERRORS, unreadable_reason
from app.policy.validation import UnusableRegex, validate
from app.query.collection import USERS
from app.query.filter import parse_filter
from app.query.payload import Payload
from app.repositories.commands.invitations import lock_user_by_email
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.project_settings import read_project_settings
from app.repositories.rules.users import EMAIL, ID, STATUS, UNVERIFIED
from app.repositories.services import Services
from app.repositories.stores.outbox import Outbox

_SETTINGS = tuple(f"public_registration{suffix}" for suffix in ("", "_verify_email", "_role", "_email_filter"))
"""In the order of RegistrationPolicy's fields."""


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """Whether visitors may register, whether emails are verified, the role of new users, and the filter for emails."""

    open: bool = False
    verify_email: bool = True
    role: str | None = None
    email_filter: Any = None

    async def accepts(self, email: str, services: Services, budget: RequestBudget) -> bool:
        """Return whether an email matches the project's filter. None does if the filter is invalid.

        Raises:
            RollcallError: A regular expression takes too long, as `RegexMatcher.matches` raises.
        """
        if self.email_filter is None:
            return True
        try:
            services.limits.size_counter().add_filter(self.email_filter)
            filter_ = parse_filter(USERS, self.email_filter, stored=True, for_payload=True)
        except PARSE_ERRORS as error:
            services.unreadable_rules.report("registration filter", USERS.name, "create", unreadable_reason(error))
            return False

        def match_regex(pattern: str, text: str, name: str) -> Awaitable[bool]:
            return services.regexes.matches(pattern, text, name, budget)

        try:
            return not await validate(filter_, {EMAIL: email}, lambda *_: (), match_regex)
        except UnusableRegex:
            return False


async def read_registration_policy(services: Services) -> RegistrationPolicy:
    """Return the policy in the project's current settings; without a settings row, registration is closed."""
    settings = await read_project_settings(services, *_SETTINGS)
    return RegistrationPolicy(*(settings[name] for name in _SETTINGS)) if settings else RegistrationPolicy()


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """Creates a user unless the email is in use, and queues a mail if the user's email is unverified.

    An existing user whose email is unverified gets another mail; existing users are not changed.
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
