"""Password reset: sends a link by mail that can set a new password once."""

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
"""Minimum duration of a reset request, so that timing doesn't reveal whether the account exists."""


class PasswordReset:
    """Requests and performs password resets."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services
        self._accounts = AccountStore(directory.services)

    async def request(self, email: str, url: str | None = None) -> None:
        """Send a reset mail if an active user with this email logs in with a password, or has none yet.

        The mail goes to the email as stored. Neither the result nor the timing reveals whether there is such a user.

        Raises:
            InvalidPayload: The URL is not on the allow list; this is checked first.
        """
        url = allowed_link_url(url, self._services.settings.password_reset_url_allow_list, "reset passwords")
        async with minimum_duration(MIN_REQUEST_DURATION):
            account = await self._accounts.by_email(email)
            await self._services.database.run_write(lambda writer: self._enqueue(writer, account, url), exclusive=False)

    async def account(self, token: str) -> Account:
        """Return the account whose password a link may replace, and change nothing.

        Raises:
            Forbidden: The link is no longer valid.
            RollcallError: The link is invalid, as `verify_link_token` raises.
        """
        link, account = await account_for_link(token, LinkPurpose.RESET, self._services)
        if (
            account is None
            or not account.can_use_password
            or link.password_fingerprint != password_fingerprint(account.password)
        ):
            raise Forbidden
        return account

    async def reset(self, token: str, password: str) -> None:
        """Set a new password, end all sessions of the user and reset the failed logins.

        A link is valid while its user is active and still has the password that was forgotten, so it works once.

        Raises:
            RollcallError: The link is invalid, as `account` raises, or the password is, as a user update raises.
        """
        account = await self.account(token)
        check_new_password(password)
        caller = on_behalf_of(account.id, self._directory.caller)
        await self._accounts.update(
            account, {"password": password}, caller, self._directory.client_info, conflict_error=Forbidden
        )
        email = account.email or ""  # never empty: links find their account by its email
        await self._services.database.run_write(
            lambda writer: LoginService(self._directory).reset_attempts(writer, email), exclusive=False
        )

    async def _enqueue(self, writer: WriteTransaction, account: Account | None, url: str | None) -> None:
        """Queue the mail; without a recipient there is a transaction too, so that timing reveals nothing."""
        if account is None or account.email is None or not account.can_use_password:
            return
        data = {"user": account.id, "url": url, "password": password_fingerprint(account.password)}
        await Outbox(writer, self._services).enqueue("reset", account.email, data)
