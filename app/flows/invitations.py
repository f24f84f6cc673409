"""Inviting people: users who wait for their password, mails that lead them to it, and ways to think better of it."""

from collections.abc import Sequence

from app.core.caller import on_behalf_of
from app.core.email_links import LinkPurpose
from app.core.errors import InvalidInvite, InvalidPayload, RecordNotUnique, ValueTooLong
from app.flows.link_input import account_for_link, allowed_link_url, check_new_password
from app.query.collection import USERS
from app.query.payload import to_column_value
from app.repositories.commands.accounts import ACTIVE, INVITED, AccountStore
from app.repositories.commands.invitations import InviteUsers, RevokeInvitation
from app.repositories.directory import Directory
from app.repositories.rules.users import EMAIL


class Invitations:
    """Invitations as one caller makes, accepts and revokes them."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def invite(self, emails: Sequence[str], role: str | None, url: str | None = None) -> None:
        """Makes an invited user of each address that nobody has, with this role if one is given, and sends a mail.

        To somebody who is invited already there goes another mail, to the address as it is stored, and the role is
        changed to the one given; the links of all their mails are good until one is used. An address of anybody else
        is passed over. It is all done or nothing is.

        Raises InvalidPayload for a URL that mails may not lead to, before anything else; Forbidden for a caller who may
        not create users or hand the role out; and for what can't be such a user as making one does.
        """
        url = allowed_link_url(url, self._services.settings.user_invite_url_allow_list, "invite users")
        users = self._directory["users"]
        given = {} if role is None else {"role": role}
        change = InviteUsers(users.create_command([{"email": email, **given} for email in emails]).written, url)
        try:
            await users.write(change)
        except RecordNotUnique:  # somebody else has taken an address meanwhile: now it can be seen who
            await users.write(change)

    async def accept(self, token: str, password: str) -> None:
        """Gives an invited user a password, with which they can sign in from now on; a link is good for that once.

        Raises as reading a link does, InvalidInvite for one whose user isn't invited any more or is gone, and what is
        wrong with the password as changing a user does.
        """
        _, account = await account_for_link(token, LinkPurpose.INVITATION, self._services)
        if account is None or account.status != INVITED:
            raise InvalidInvite
        check_new_password(password)
        await AccountStore(self._services).change(
            account,
            {"password": password, "status": ACTIVE},
            on_behalf_of(account.id, self._directory.caller),
            self._directory.client_info,
            otherwise=InvalidInvite,
        )

    async def revoke(self, email: str) -> bool:
        """Deletes the invited user with an address, so that every link they were sent leads nowhere.

        True where there was one; False where there is no invitation that this caller could revoke, whatever the reason.
        Raises Forbidden for a caller who may not delete users at all.

        Our links name their user's id: they stay void, also when the address is invited again. Those that a
        neighbouring Directus has sent name an address alone: they are void until that address is invited again.
        """
        try:
            wanted = to_column_value(USERS, EMAIL, email)
        except (InvalidPayload, ValueTooLong):  # what no row can hold is nobody's address
            wanted = ""
        return bool((await self._directory["users"].write(RevokeInvitation(wanted))).keys)
