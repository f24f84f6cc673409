"""Registration: visitors create their own user, if the project allows it, and verify their email."""

from contextlib import suppress
from typing import Any

from app.core.caller import on_behalf_of
from app.core.email_links import LinkPurpose
from app.core.errors import Forbidden, InvalidPayload, RecordNotUnique
from app.flows.link_input import account_for_link, allowed_link_url, check_new_password
from app.flows.timing import minimum_duration
from app.query.collection import USERS
from app.query.payload import Payload, parse_payload
from app.repositories.commands.accounts import AccountStore
from app.repositories.commands.registrations import RegisterUser, RegistrationPolicy, read_registration_policy
from app.repositories.directory import Directory
from app.repositories.project_settings import read_password_policy
from app.repositories.rules.password_policy import check_password
from app.repositories.rules.users import ACTIVE, UNVERIFIED, check_email


class InvalidVerification(InvalidPayload):
    """The link's user is already verified, or no longer exists."""

    def __init__(self) -> None:
        super().__init__("Invalid verification code")


class Registration:
    """Registers users and verifies their emails."""

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
        """Create a user, unless the email is in use; neither the result nor the timing reveals whether it is.

        If the project verifies emails, a mail with a link is sent, and sent again when an unverified user registers
        again. Other existing users are not changed. The call takes at least `REGISTER_STALL_TIME`.

        Raises:
            RequestsExceeded: Too many registrations from the client's IP.
            Forbidden: The project does not allow registration, or not with this email.
            InvalidPayload: The URL is not on the allow list.
            RollcallError: A value is invalid, as for any other new user.
        """
        await self._services.rates.check_registration(self._directory.caller.ip)
        async with minimum_duration(self._services.settings.register_stall_time):
            policy = await read_registration_policy(self._services)
            if not policy.open:
                raise Forbidden
            allowed = self._services.settings.user_register_url_allow_list
            url = allowed_link_url(url, allowed, "verify registered users")
            names = {"first_name": first_name, "last_name": last_name}
            payload = await self._parse(policy, {"email": email, "password": password, **names})
            caller = on_behalf_of(None, self._directory.caller)
            users = Directory(caller, self._services, self._directory.client_info, self._directory.budget)["users"]
            with suppress(RecordNotUnique):  # the email was taken concurrently
                await users.write(RegisterUser(payload, url))

    async def verify(self, token: str) -> str:
        """Activate the user that the link was sent to and return the user's id; a link works once.

        Raises:
            InvalidVerification: The user is already verified, or no longer exists.
            RollcallError: The link is invalid, as `verify_link_token` raises.
        """
        _, account = await account_for_link(token, LinkPurpose.REGISTRATION, self._services)
        if account is None or account.status != UNVERIFIED:
            raise InvalidVerification
        await AccountStore(self._services).update(
            account,
            {"status": ACTIVE},
            on_behalf_of(account.id, self._directory.caller),
            self._directory.client_info,
            conflict_error=InvalidVerification,
        )
        return account.id

    async def _parse(self, policy: RegistrationPolicy, values: dict[str, Any]) -> Payload:
        """Return the user to create; invalid values are rejected whether or not the email is in use."""
        check_new_password(values["password"])
        assigned = {"status": UNVERIFIED if policy.verify_email else ACTIVE, "role": policy.role}
        users = self._services.registry.own(USERS)
        payload = parse_payload(users, {**values, **assigned}, self._services.limits.max_depth)
        check_email(values["email"])
        services, budget = self._services, self._directory.budget
        await check_password(values["password"], await read_password_policy(services), services, budget)
        if not await policy.accepts(values["email"], services, budget):
            raise Forbidden
        return payload
