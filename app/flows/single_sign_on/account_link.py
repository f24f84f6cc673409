"""Links a provider's identity to an account with the same email address, once its password is proven.

The email address alone proves nothing: users who can choose theirs at the provider could take over an account.
"""

from app.core.caller import ResponseCookie
from app.core.config import signing_secret
from app.core.errors import AccountLinkRequired
from app.core.provider_settings import OAuthSettings
from app.db.transaction import WriteTransaction
from app.flows.login import Credentials, LoginService
from app.flows.otp_verifier import OTPVerifier
from app.flows.single_sign_on.failures import refused
from app.flows.single_sign_on.pending_link import PendingLink, read_pending_link
from app.flows.single_sign_on.profile import Profile
from app.flows.single_sign_on.user_sign_in import UserSignIn
from app.flows.timing import minimum_duration
from app.flows.tokens import TokenMode
from app.repositories.commands.accounts import Account, AccountStore
from app.repositories.commands.provider_users import ProviderUser, find_by_id
from app.repositories.directory import Directory
from app.repositories.stores.sessions import SessionGrant
from app.repositories.stores.used_sign_ins import use_sign_in


class AccountLink:
    """Offers and confirms links to one provider."""

    def __init__(self, directory: Directory, settings: OAuthSettings) -> None:
        self._directory, self._services, self._settings = directory, directory.services, settings
        self._secret = signing_secret(directory.services.settings)

    async def check_not_linkable(self, profile: Profile, refresh_token: str | None, redirect: str | None) -> None:
        """Do nothing unless the identity, which no user has, may be linked to an account; then offer that.

        Raises:
            AccountLinkRequired: There is such an account; the browser gets the cookie with the link.
        """
        if not self._settings.link_existing_accounts or not (profile.email and profile.is_email_verified):
            return
        account = await AccountStore(self._services).by_email(profile.email)
        if account is None or not account.can_use_password or account.password is None:
            return
        link = PendingLink.offer(self._settings.name, account, profile, refresh_token, redirect)
        ttl = self._settings.login_timeout
        sealed = link.seal(self._secret, self._services.clock() + ttl)
        self._directory.response_cookies += (ResponseCookie("sign_in", sealed, ttl, self._cookie_name),)
        raise AccountLinkRequired(self._settings.name)

    def pending(self) -> PendingLink | None:
        """Return the link that was offered to the browser, None without a valid one."""
        cookie = self._directory.client_info().cookies.get(self._cookie_name)
        return read_pending_link(cookie, self._settings.name, self._secret, self._services.clock())

    async def confirm(self, link: PendingLink, password: str, otp: str | None, mode: TokenMode) -> SessionGrant:
        """Make the account one of the provider, end its sessions, and start another one.

        An attempt is counted like a login, and locks the client's IP out of the account likewise.

        Raises:
            InvalidCredentials: The password is wrong, there were too many attempts, the account has changed since the
                link was offered, or the link was used.
            InvalidOtp: The password is right, but the one-time password is wrong or missing.
            RollcallError: As a sign-in with the provider.
        """
        async with minimum_duration(self._services.settings.login_stall_time):
            user = await self._authenticate(link, password, otp)
        if not await use_sign_in(self._services, f"{self._cookie_name}:{link.id}", self._settings.login_timeout):
            raise refused(self._settings, "the link was used before", user=link.user)
        self._directory.response_cookies += (ResponseCookie("sign_in", name=self._cookie_name),)
        sign_in = UserSignIn(self._directory, self._settings)
        grant = await sign_in.start_session(user, link.profile, link.refresh_token, mode, is_new_identity=True)
        await self._reset_attempts(user.account)
        return grant

    async def _authenticate(self, link: PendingLink, password: str, otp: str | None) -> ProviderUser:
        """Return the user of a link whose credentials these are."""
        user = await find_by_id(self._services, link.user)
        email = (user.account.email if user else None) or ""
        account = await LoginService(self._directory).authenticate(Credentials(email, password, otp))
        if user is None or account != user.account or account.digest != link.state:
            raise refused(self._settings, "the account has changed since the link was offered", user=link.user)
        return user

    async def _reset_attempts(self, account: Account) -> None:
        async def reset(writer: WriteTransaction) -> None:
            await LoginService(self._directory).reset_attempts(writer, account.email or "")
            await OTPVerifier(self._services, account).reset(writer)

        await self._services.database.run_write(reset, exclusive=False)

    @property
    def _cookie_name(self) -> str:
        return f"link.{self._settings.driver}.{self._settings.name}"
