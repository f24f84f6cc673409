"""Invitations: users who are created without a password and receive a link by mail to set one."""

from collections.abc import Mapping, Sequence

from app.core.caller import SYSTEM, on_behalf_of
from app.core.config import signing_secret
from app.core.email_links import LinkPurpose
from app.core.errors import InvalidInvite, InvalidPayload, RecordNotUnique, ValueTooLong
from app.flows.link_input import account_for_link, allowed_link_url, check_new_password
from app.flows.mail_links import INVITATION
from app.query.collection import USERS
from app.query.payload import to_column_value
from app.repositories.commands.accounts import Account, AccountStore
from app.repositories.commands.invitations import InvitationOutcome, InvitationResult, InviteUsers, RevokeInvitation
from app.repositories.directory import Directory
from app.repositories.rules.users import ACTIVE, EMAIL, INVITED

NAMES = ("first_name", "last_name")
"""The fields that an invited user may fill in, as long as they are empty."""


class Invitations:
    """Sends, accepts and revokes invitations on behalf of one caller."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def invite(self, emails: Sequence[str], role: str | None, url: str | None = None) -> list[InvitationOutcome]:
        """Create an invited user for each unused email, with this role if there is one, and send a mail.

        Return the outcome for each email, in their order.

        A user who is already invited gets another mail, at the email as stored, and the new role if there is one; all
        links sent to the user stay valid until one is used. Emails of other users are skipped. Either all of it is
        done or nothing.

        Raises:
            InvalidPayload: The URL is not on the allow list; this is checked first.
            Forbidden: The caller may not create users, or may not assign the role.
            RollcallError: The user can't be created, as for any other user.
        """
        url = allowed_link_url(url, self._services.settings.user_invite_url_allow_list, "invite users")
        users = self._directory["users"]
        values = {} if role is None else {"role": role}
        command = InviteUsers(users.create_command([{"email": email, **values} for email in emails]).rows, url)
        try:
            await users.write(command)
        except RecordNotUnique:  # an email was taken concurrently: now its user is visible and can be skipped
            await users.write(command)
        return command.outcomes

    def link(self, outcome: InvitationOutcome) -> str | None:
        """Return the link of a user whom this invitation created, as its mail has it; None for any other outcome.

        It is a credential of the new user. Pass it only to a caller who could have set the user's password.
        """
        if outcome.result is not InvitationResult.CREATED or outcome.email is None:
            return None
        settings, data = self._services.settings, {"user": outcome.user}
        return INVITATION.link(settings, signing_secret(settings), outcome.email, data, self._services.clock())

    async def account(self, token: str) -> Account:
        """Return the account that a link invites, and change nothing.

        Raises:
            InvalidInvite: The user is no longer invited, or no longer exists.
            RollcallError: The link is invalid, as `verify_link_token` raises.
        """
        _, account = await account_for_link(token, LinkPurpose.INVITATION, self._services)
        if account is None or account.status != INVITED:
            raise InvalidInvite
        return account

    async def missing_names(self, account: Account) -> list[str]:
        """Return those of the fields `NAMES` that are empty, so that an invited user may fill them in."""
        users = Directory(SYSTEM, self._services)["users"]
        rows = await users.read_by_query({"filter": {"id": {"_eq": account.id}}, "fields": list(NAMES)})
        return [name for name in NAMES if rows and not rows[0][name]]

    async def accept(self, token: str, password: str, names: Mapping[str, str] | None = None) -> None:
        """Set the password of an invited user and activate the user; each invitation can be accepted once.

        `names` are values of the fields `NAMES`; a name that the invitation has set stays as it is.

        Raises:
            RollcallError: The link is invalid, as `account` raises, or the password is, as a user update raises.
        """
        account = await self.account(token)
        check_new_password(password)
        entered = names or {}
        missing = await self.missing_names(account) if any(entered.values()) else []
        await AccountStore(self._services).update(
            account,
            {"password": password, "status": ACTIVE, **{name: entered[name] for name in missing if entered.get(name)}},
            on_behalf_of(account.id, self._directory.caller),
            self._directory.client_info,
            conflict_error=InvalidInvite,
        )

    async def revoke(self, email: str) -> bool:
        """Delete the invited user with this email, which invalidates every link sent to the user.

        Return whether a user was deleted; False if there is no invitation that this caller may revoke.

        Rollcall's links contain the user's id and stay invalid even if the email is invited again. Links that Directus
        sent on the same database contain only the email: they are valid again once that email is invited again.

        Raises:
            Forbidden: The caller may not delete users at all.
        """
        try:
            stored_email = to_column_value(USERS, EMAIL, email)
        except (InvalidPayload, ValueTooLong):  # no row can hold this value
            stored_email = ""
        return bool((await self._directory["users"].write(RevokeInvitation(stored_email))).keys)
