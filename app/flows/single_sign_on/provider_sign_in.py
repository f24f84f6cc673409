"""Sign-in with a provider: leads the browser there, verifies what it brings back, and starts a session."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from app.core.caller import ResponseCookie
from app.core.config import signing_secret
from app.core.errors import AccountLinkRequired, InvalidCredentials, InvalidToken, RollcallError, RouteNotFound
from app.flows.sign_in_outcomes import counted_sign_in
from app.flows.single_sign_on.account_link import AccountLink
from app.flows.single_sign_on.attempt import SignInAttempt, read_attempt
from app.flows.single_sign_on.failures import provider_failure, refused
from app.flows.single_sign_on.pending_link import PendingLink
from app.flows.single_sign_on.profile import read_profile
from app.flows.single_sign_on.redirects import allowed_redirect
from app.flows.single_sign_on.user_sign_in import UserSignIn
from app.flows.tokens import TokenMode, Tokens, issue_tokens
from app.identity_providers.base import (
    AuthorizationRequest,
    AuthorizationResponse,
    Identity,
    ProviderError,
    RedirectProvider,
)
from app.repositories.commands.accounts import AccountStore
from app.repositories.commands.provider_users import find_by_identifier
from app.repositories.directory import Directory
from app.repositories.stores.used_sign_ins import use_sign_in

SIGN_IN_PAGE, LINK_PAGE, TFA_PAGE = "/admin/sign-in", "/admin/link-account", "/admin/account/two-factor"
"""Pages of the Studio."""


class SignInFailed(Exception):
    """A sign-in failed: what the browser may know of it, and where it leads to, None for nowhere.

    `may_retry_with_consent` is whether the provider may accept the same sign-in if it asks the user for consent again.
    """

    def __init__(self, error: RollcallError, redirect: str | None = None, *, may_retry: bool = False) -> None:
        self.error, self.redirect, self.may_retry_with_consent = error, redirect, may_retry
        super().__init__()


@dataclass(frozen=True, slots=True)
class CompletedSignIn:
    """The tokens of a new session, and where the browser goes, None for nowhere."""

    tokens: Tokens = field(repr=False)
    redirect: str | None


class SingleSignOn:
    """Signs users in with one of the providers to which the browser is redirected."""

    def __init__(self, directory: Directory, provider: str) -> None:
        self._directory, self._services = directory, directory.services
        found = self._services.identity_providers.redirecting.get(provider)
        if found is None:
            raise RouteNotFound(f"/auth/login/{provider}")
        self._provider: RedirectProvider = found
        self._settings, self._secret = found.settings, signing_secret(self._services.settings)
        self._link = AccountLink(directory, found.settings)

    async def begin(self, redirect: str | None, otp: str | None, *, consent: bool) -> str:
        """Return the provider's URL at which the user signs in, and set the cookie of the attempt.

        Raises:
            InvalidPayload: The sign-in may not lead to `redirect`.
            SignInFailed: The provider is unavailable.
        """
        redirect = allowed_redirect(redirect, self._settings, self._services.settings)
        attempt = SignInAttempt.start(self._settings.name, redirect, otp or None, consent=consent)
        try:
            url = await self._provider.authorization_url(attempt.request(self._redirect_uri, self._secret))
        except ProviderError as error:
            raise SignInFailed(provider_failure(self._settings, error), redirect or self._sign_in_page) from None
        ttl = self._settings.login_timeout
        signed = attempt.sign(self._secret, ttl, self._services.clock())
        self._directory.response_cookies += (ResponseCookie("sign_in", signed, ttl, self._cookie_name),)
        return url

    async def complete(self, parameters: Mapping[str, str]) -> CompletedSignIn:
        """Sign in the user whom the provider's response, its query parameters, names; a response is accepted once.

        Raises:
            SignInFailed: The response is invalid, or the user may not sign in. No user has changed.
        """
        attempt = read_attempt(self._cookie(), self._settings.name, self._secret)
        self._directory.response_cookies += (ResponseCookie("sign_in", name=self._cookie_name),)
        if attempt is None:
            error = self._refused("the browser has no valid cookie of a sign-in")
            raise SignInFailed(error, self._sign_in_page)
        try:
            with counted_sign_in(self._services.metrics, "provider"):
                tokens = await self._complete(attempt, parameters)
        except AccountLinkRequired as error:
            raise SignInFailed(error, self._link_page(attempt.redirect)) from None
        except RollcallError as error:
            may_retry = isinstance(error, InvalidToken) and not attempt.consent
            raise SignInFailed(error, attempt.redirect, may_retry=may_retry) from None
        return CompletedSignIn(tokens, self._next_page(tokens, attempt.redirect))

    def pending_link(self) -> PendingLink | None:
        """Return the link to an account that was offered to the browser, None without a valid one."""
        return self._link.pending()

    async def confirm_link(self, password: str, otp: str | None) -> CompletedSignIn:
        """Link the identity to the account whose password this is, and sign in.

        Raises:
            InvalidCredentials: No link was offered to this browser; or as `AccountLink.confirm`.
            RollcallError: As `AccountLink.confirm`.
        """
        with counted_sign_in(self._services.metrics, "provider"):
            link = self._link.pending()
            if link is None:
                raise self._refused("the browser has no valid cookie of a link")
            mode = self._token_mode(link.redirect)
            grant = await self._link.confirm(link, password, otp, mode)
            user = await AccountStore(self._services).by_id(grant.user)
            has_tfa = user is not None and user.tfa_secret is not None
            tokens = await issue_tokens(self._services, grant, mode, self._directory.caller.ip, has_tfa=has_tfa)
            return CompletedSignIn(tokens, self._next_page(tokens, link.redirect))

    async def _complete(self, attempt: SignInAttempt, parameters: Mapping[str, str]) -> Tokens:
        request = attempt.request(self._redirect_uri, self._secret)
        if not hmac.compare_digest(parameters.get("state", "").encode(), request.state.encode()):
            raise self._refused("the response belongs to another sign-in: its state differs")
        if not await use_sign_in(self._services, request.state, self._settings.login_timeout):
            raise self._refused("the response was received before")
        identity = await self._identify(request, parameters)
        profile = read_profile(identity.claims, self._settings)
        if profile.identifier is None:
            raise self._refused("the provider names no identifier of the user")
        if not profile.is_identifier_trusted:
            raise self._refused("the email address, which is the identifier of the user, is not verified")
        user = await find_by_identifier(self._services, profile.identifier)
        mode, signing_in = self._token_mode(attempt.redirect), UserSignIn(self._directory, self._settings)
        if user is not None:
            await signing_in.check_account(user.account, attempt.otp)
        else:
            await self._link.check_not_linkable(profile, identity.refresh_token, attempt.redirect)
            signing_in.check_registration(profile)
        grant = await signing_in.start_session(user, profile, identity.refresh_token, mode)
        has_tfa = user is not None and user.account.tfa_secret is not None
        return await issue_tokens(self._services, grant, mode, self._directory.caller.ip, has_tfa=has_tfa)

    async def _identify(self, request: AuthorizationRequest, parameters: Mapping[str, str]) -> Identity:
        code = parameters.get("code")
        if not code:
            raise self._refused("the provider sent no code: the user may have cancelled the sign-in")
        try:
            return await self._provider.identify(request, AuthorizationResponse(code, parameters.get("iss")))
        except ProviderError as error:
            raise provider_failure(self._settings, error) from None

    def _refused(self, reason: str) -> InvalidCredentials:
        return refused(self._settings, reason)

    def _token_mode(self, redirect: str | None) -> TokenMode:
        """Return how the browser receives its tokens: a redirect carries none, so the refresh token is a cookie."""
        mode = TokenMode(self._settings.mode)
        return TokenMode.COOKIE if mode is TokenMode.JSON and redirect else mode

    def _cookie(self) -> str | None:
        return self._directory.client_info().cookies.get(self._cookie_name)

    @property
    def _sign_in_page(self) -> str | None:
        """Where a sign-in leads back to that is not known to lead anywhere, as in Directus; None without the Studio."""
        return self._page(SIGN_IN_PAGE) if self._services.settings.studio else None

    def _link_page(self, redirect: str | None) -> str | None:
        """Return where the user enters the password: a page of the Studio, or else the app; None without a redirect."""
        if redirect is None or not self._services.settings.studio:
            return redirect
        return self._page(f"{LINK_PAGE}?{urlencode({'provider': self._settings.name})}")

    def _next_page(self, tokens: Tokens, redirect: str | None) -> str | None:
        """Return where the browser goes: as in Directus first to the page that sets up two-factor authentication.

        That needs a session of the Studio; apps that use tokens learn from these that they demand it.
        """
        if redirect is None or not tokens.must_set_up_tfa or not self._services.settings.studio:
            return redirect
        return self._page(f"{TFA_PAGE}?{urlencode({'redirect': redirect, 'provider': self._settings.name})}")

    def _page(self, path: str) -> str:
        return f"{(self._services.settings.public_url or '').rstrip('/')}{path}"

    @property
    def _cookie_name(self) -> str:
        return f"{self._settings.driver}.{self._settings.name}"

    @property
    def _redirect_uri(self) -> str:
        return f"{(self._services.settings.public_url or '').rstrip('/')}/auth/login/{self._settings.name}/callback"
