"""Sign-in with a provider: leads the browser there, verifies what it brings back, and starts a session.

A user belongs to a provider by `provider` and `external_identifier`, never by the email address alone.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.core.caller import ResponseCookie, on_behalf_of
from app.core.config import signing_secret
from app.core.errors import (
    InvalidCredentials,
    InvalidOtp,
    InvalidProvider,
    InvalidToken,
    RecordNotUnique,
    RollcallError,
    RouteNotFound,
    ServiceUnavailable,
    UserSuspended,
)
from app.db.transaction import WriteTransaction
from app.flows.otp_verifier import OTPVerifier
from app.flows.session_start import SessionStart
from app.flows.single_sign_on.attempt import SignInAttempt, read_attempt
from app.flows.single_sign_on.profile import Profile, read_profile
from app.flows.single_sign_on.redirects import allowed_redirect
from app.flows.tokens import TokenMode, Tokens, issue_tokens
from app.identity_providers.base import (
    AuthorizationRequest,
    AuthorizationResponse,
    GrantRejected,
    Identity,
    IdentityProvider,
    ProviderError,
    ProviderUnavailable,
)
from app.query.collection import USERS
from app.query.payload import parse_payload
from app.repositories.commands.accounts import Account
from app.repositories.commands.provider_users import ProviderUser, SignInProviderUser, find_by_identifier
from app.repositories.directory import Directory
from app.repositories.rules.users import ACTIVE, SUSPENDED
from app.repositories.stores.sessions import SessionGrant
from app.repositories.stores.used_sign_ins import use_sign_in

log = structlog.get_logger(__name__)


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
    """Signs users in with one of the configured providers."""

    def __init__(self, directory: Directory, provider: str) -> None:
        self._directory, self._services = directory, directory.services
        found = self._services.identity_providers.by_name.get(provider)
        if found is None:
            raise RouteNotFound(f"/auth/login/{provider}")
        self._provider: IdentityProvider = found
        self._settings, self._secret = found.settings, signing_secret(self._services.settings)

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
            raise SignInFailed(self._provider_failure(error), redirect) from None
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
            raise SignInFailed(self._refused("the browser has no valid cookie of a sign-in"))
        try:
            tokens = await self._complete(attempt, parameters)
        except RollcallError as error:
            may_retry = isinstance(error, InvalidToken) and not attempt.consent
            raise SignInFailed(error, attempt.redirect, may_retry=may_retry) from None
        return CompletedSignIn(tokens, attempt.redirect)

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
        user = await find_by_identifier(self._services, profile.identifier)
        account = None
        if user is not None:
            account = user.account
            await self._check_account(account, attempt.otp)
        else:
            self._check_registration(profile)
        mode = self._token_mode(attempt)
        grant = await self._sign_in(user, profile, identity, mode)
        has_tfa = account is not None and account.tfa_secret is not None
        return await issue_tokens(self._services, grant, mode, self._directory.caller.ip, has_tfa=has_tfa)

    async def _identify(self, request: AuthorizationRequest, parameters: Mapping[str, str]) -> Identity:
        code = parameters.get("code")
        if not code:
            raise self._refused("the provider sent no code: the user may have cancelled the sign-in")
        try:
            return await self._provider.identify(request, AuthorizationResponse(code, parameters.get("iss")))
        except ProviderError as error:
            raise self._provider_failure(error) from None

    async def _check_account(self, account: Account, otp: str | None) -> None:
        """Check that an existing user may sign in with this provider, and the one-time password if there must be one.

        Raises:
            UserSuspended, InvalidCredentials, InvalidOtp: It is not so.
        """
        if account.provider != self._settings.name:
            raise self._refused("the identifier belongs to a user of another provider", user=account.id)
        if account.status != ACTIVE:
            refused = self._refused(f"the user is {account.status}", user=account.id)
            raise UserSuspended if account.status == SUSPENDED else refused
        if account.tfa_secret is not None:
            verifier = OTPVerifier(self._services, account)
            if not await verifier.verify(otp, recovery=True):
                raise InvalidOtp
            await self._services.database.run_write(verifier.reset, exclusive=False)

    def _check_registration(self, profile: Profile) -> None:
        if not self._settings.allow_public_registration:
            raise self._refused("there is no such user, and the provider may not register users")
        if self._settings.require_verified_email and not (profile.email and profile.is_email_verified):
            raise self._refused("there is no such user, and the email address is not verified")

    async def _sign_in(
        self, user: ProviderUser | None, profile: Profile, identity: Identity, mode: TokenMode
    ) -> SessionGrant:
        """Create or update the user and start a session, in one transaction."""
        values = self._new_values(profile) if user is None else self._changes(user, profile)
        users = self._services.registry.own(USERS)
        payload = parse_payload(users, values, self._services.limits.max_depth)
        start = SessionStart(self._directory, mode)
        grants: list[SessionGrant] = []

        async def begin(writer: WriteTransaction, key: str) -> None:
            grants[:] = [await start.begin(writer, key, profile.email)]  # a transaction may be repeated

        account = user.account if user else None
        caller = on_behalf_of(account.id if account else None, self._directory.caller)
        directory = Directory(caller, self._services, self._directory.client_info, self._directory.budget)
        try:
            await directory["users"].write(SignInProviderUser(account, payload, identity.refresh_token, begin))
        except RecordNotUnique as error:
            reason = f"another user, who does not belong to this provider's account, has the {error.details['field']}"
            log.warning("provider_sign_in_refused", provider=self._settings.name, reason=reason)
            raise InvalidProvider from None
        if start.after_commit is not None:
            await start.after_commit()
        return grants[0]

    def _new_values(self, profile: Profile) -> dict[str, Any]:
        return {
            "provider": self._settings.name,
            "external_identifier": profile.identifier,
            "email": profile.email,
            "first_name": profile.first_name,
            "last_name": profile.last_name,
            "role": profile.role,
            "status": ACTIVE,
        }

    def _changes(self, user: ProviderUser, profile: Profile) -> dict[str, Any]:
        """Return what a sign-in changes: a mapped role, and what is synchronised with the provider."""
        values: dict[str, Any] = {}
        if self._settings.role_mapping is not None:
            values["role"] = profile.role
        if self._settings.sync_user_info:
            values |= {"first_name": profile.first_name, "last_name": profile.last_name}
            if profile.email and (profile.is_email_verified or not self._settings.require_verified_email):
                values["email"] = profile.email
        return {name: value for name, value in values.items() if user.synced[name] != value}

    def _provider_failure(self, error: ProviderError) -> RollcallError:
        """Log why a provider failed, and return what the browser may know."""
        log.warning("provider_failed", provider=self._settings.name, reason=str(error))
        if isinstance(error, GrantRejected):
            return InvalidToken()
        if isinstance(error, ProviderUnavailable):
            return ServiceUnavailable(
                f'The authentication provider "{self._settings.name}" did not respond as expected'
            )
        return InvalidCredentials()

    def _refused(self, reason: str, **details: str) -> InvalidCredentials:
        log.warning("provider_sign_in_refused", provider=self._settings.name, reason=reason, **details)
        return InvalidCredentials()

    def _token_mode(self, attempt: SignInAttempt) -> TokenMode:
        """Return how the browser receives its tokens: a redirect carries none, so the refresh token is a cookie."""
        mode = TokenMode(self._settings.mode)
        return TokenMode.COOKIE if mode is TokenMode.JSON and attempt.redirect else mode

    def _cookie(self) -> str | None:
        return self._directory.client_info().cookies.get(self._cookie_name)

    @property
    def _cookie_name(self) -> str:
        return f"{self._settings.driver}.{self._settings.name}"

    @property
    def _redirect_uri(self) -> str:
        return f"{(self._services.settings.public_url or '').rstrip('/')}/auth/login/{self._settings.name}/callback"
