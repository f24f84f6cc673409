"""Registering: strangers make themselves users, where the project lets them, and prove that an address is theirs."""

from contextlib import suppress
from typing import Any

from app.core.caller import on_behalf_of
from app.core.email_links import LinkPurpose
from app.core.errors import Forbidden, InvalidPayload, RecordNotUnique
from app.flows.link_input import account_for_link, allowed_link_url, check_new_password
from app.flows.timing import minimum_duration
from app.query.collection import USERS
from app.query.payload import Payload, parse_payload
from app.repositories.commands.accounts import ACTIVE, UNVERIFIED, AccountStore
from app.repositories.commands.registrations import RegisterUser, RegistrationPolicy, registration_terms
from app.repositories.directory import Directory
from app.repositories.project_settings import read_password_policy
from app.repositories.rules.password_policy import check_password
from app.repositories.rules.users import check_email


class InvalidVerification(InvalidPayload):
    """A link whose user has been verified already, or is gone."""

    def __init__(self) -> None:
        super().__init__("Invalid verification code")


class Registration:
    """Registrations, for whoever stands at the door."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def register(
        self,
        email: str,
        password: str,
        url: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
    ) -> None:
        """Makes a user of an address that nobody has; it is never told whether somebody has it.

        Where addresses are verified a mail goes there, and goes again whenever somebody registers who hasn't used it
        yet. An address of anybody else stays as it is. All of it takes as long, by the setting for that at least.

        Raises RequestsExceeded for too many from one place; Forbidden where strangers may not register, or not with
        such an address; InvalidPayload for a URL that mails may not lead to, and what is wrong with the values as
        making a user does.
        """
        await self._services.rates.check_registration(self._directory.caller.ip)
        async with minimum_duration(self._services.settings.register_stall_time):
            terms = await registration_terms(self._services)
            if not terms.open:
                raise Forbidden
            allowed = self._services.settings.user_register_url_allow_list
            url = allowed_link_url(url, allowed, "verify registered users")
            names = {"first_name": first_name, "last_name": last_name}
            written = await self._judged(terms, {"email": email, "password": password, **names})
            users = Directory(on_behalf_of(None, self._directory.caller), self._services, self._directory.client_info)[
                "users"
            ]
            with suppress(RecordNotUnique):  # somebody else has taken the address meanwhile
                await users.write(RegisterUser(written, url))

    async def verify(self, token: str) -> str:
        """Makes a user active whose address the link was sent to; a link is good for that once. Answers their id.

        Raises as reading a link does, and InvalidVerification.
        """
        _, account = await account_for_link(token, LinkPurpose.REGISTRATION, self._services)
        if account is None or account.status != UNVERIFIED:
            raise InvalidVerification
        await AccountStore(self._services).change(
            account,
            {"status": ACTIVE},
            on_behalf_of(account.id, self._directory.caller),
            self._directory.client_info,
            otherwise=InvalidVerification,
        )
        return account.id

    async def _judged(self, terms: RegistrationPolicy, values: dict[str, Any]) -> Payload:
        """A user to be made of these values; whatever is wrong with them is found whether or not there is one."""
        check_new_password(values["password"])
        decided = {"status": UNVERIFIED if terms.verified else ACTIVE, "role": terms.role}
        written = parse_payload(USERS, {**values, **decided}, self._services.limits.max_depth)
        check_email(values["email"])
        check_password(values["password"], await read_password_policy(self._services))
        if not terms.accepts(values["email"]):
            raise Forbidden
        return written
