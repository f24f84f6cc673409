"""A forgotten password: a mail to the address that is known, and a link in it that is good for another one, once."""

from datetime import timedelta

from app.core.caller import on_behalf_of
from app.core.email_links import LinkPurpose, password_fingerprint
from app.core.errors import Forbidden
from app.db.transaction import WriteTransaction
from app.flows.link_input import account_for_link, allowed_link_url, check_new_password
from app.flows.login import LoginService
from app.flows.timing import minimum_duration
from app.repositories.commands.accounts import Account, AccountStore
from app.repositories.directory import Directory
from app.repositories.stores.outbox import Outbox

MIN_REQUEST_DURATION = timedelta(milliseconds=500)
"""How long asking for a mail takes at least, whoever there is."""


class PasswordReset:
    """The way back in, for whoever stands at the door."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services
        self._accounts = AccountStore(directory.services)

    async def request(self, email: str, url: str | None = None) -> None:
        """Sends a mail to the active user with a password here, or none yet, who has an address; to nobody else.

        It goes to the address as it is stored. Whether there is somebody isn't told, and takes no other time. Raises
        InvalidPayload for a URL that mails may not lead to, before anybody is looked for.
        """
        url = allowed_link_url(url, self._services.settings.password_reset_url_allow_list, "reset passwords")
        async with minimum_duration(MIN_REQUEST_DURATION):
            account = await self._accounts.by_email(email)
            await self._services.database.run_write(lambda writer: self._post(writer, account, url), exclusive=False)

    async def reset(self, token: str, password: str) -> None:
        """Gives a user another password; whoever is signed in as them is no longer, and failed sign-ins are forgotten.

        A link is good as long as its user is active and has the password that was forgotten: so once. Raises as
        reading a link does, Forbidden for one that isn't good any more, and what is wrong with the password as
        changing a user does.
        """
        link, account = await account_for_link(token, LinkPurpose.RESET, self._services)
        if (
            account is None
            or not account.can_use_password
            or link.password_fingerprint != password_fingerprint(account.password)
        ):
            raise Forbidden
        check_new_password(password)
        asking = on_behalf_of(account.id, self._directory.caller)
        await self._accounts.change(
            account, {"password": password}, asking, self._directory.client_info, otherwise=Forbidden
        )
        email = account.email or link.email
        await self._services.database.run_write(
            lambda writer: LoginService(self._directory).reset_attempts(writer, email), exclusive=False
        )

    async def _post(self, writer: WriteTransaction, account: Account | None, url: str | None) -> None:
        """Posts the mail, in a transaction that there is for nobody too."""
        if account is None or account.email is None or not account.can_use_password:
            return
        said = {"user": account.id, "url": url, "password": password_fingerprint(account.password)}
        await Outbox(writer, self._services).enqueue("reset", account.email, said)
