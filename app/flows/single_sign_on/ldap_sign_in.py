"""Sign-in with an identifier and a password that an LDAP directory verifies.

Unknown, disabled and suspended users, and wrong passwords, get the same response after the same time. Attempts are
limited as those of the login with a password are.
"""

import unicodedata
from dataclasses import dataclass, field

from app.core.errors import InvalidCredentials, RouteNotFound, UserSuspended
from app.core.ldap_settings import LdapSettings
from app.core.values import is_storable
from app.db.models import User
from app.flows.login_lockout import LoginLockout
from app.flows.sign_in_outcomes import counted_sign_in
from app.flows.single_sign_on.failures import provider_failure, refused
from app.flows.single_sign_on.profile import Profile, mapped_role, read_ldap_profile
from app.flows.single_sign_on.user_sign_in import UserSignIn
from app.flows.timing import minimum_duration
from app.flows.tokens import TokenMode, Tokens, issue_tokens
from app.identity_providers.base import Identity, ProviderError
from app.repositories.commands.provider_users import find_by_identifier
from app.repositories.commands.roles_by_name import find_role_by_name
from app.repositories.directory import Directory

MAX_CREDENTIAL_LENGTH = 1024
"""Longer identifiers and passwords are wrong, in characters."""
MAX_DN_LENGTH: int = User.__table__.c.external_identifier.type.length  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class LdapCredentials:
    """What a client presents to sign in with an LDAP directory."""

    identifier: str = field(repr=False)
    password: str = field(repr=False)
    otp: str | None = field(default=None, repr=False)

    @property
    def may_be_right(self) -> bool:
        """Whether to ask the directory: an empty password would be an anonymous bind, and some end texts at U+0000."""
        texts = (self.identifier, self.password)
        return all(text and len(text) <= MAX_CREDENTIAL_LENGTH and is_storable(text) for text in texts)


class LdapSignIn:
    """Signs users in with one of the LDAP directories."""

    def __init__(self, directory: Directory, provider: str) -> None:
        self._directory, self._services = directory, directory.services
        found = self._services.identity_providers.with_password.get(provider)
        if found is None or not isinstance(found.settings, LdapSettings):
            raise RouteNotFound(f"/auth/login/{provider}")
        self._provider, self._settings = found, found.settings
        self._lockout = LoginLockout(directory)

    async def sign_in(self, credentials: LdapCredentials, mode: TokenMode) -> Tokens:
        """Return the tokens of a new session of the user, who is created or updated as the settings say.

        Raises:
            InvalidCredentials: The directory or this server doesn't let the user sign in with this password.
            InvalidOtp: The password is right, but the one-time password is wrong or missing.
            InvalidProvider: The password is right, but another user has the email address or the identifier.
            ServiceUnavailable: The directory or the database is unavailable.
        """
        async with minimum_duration(self._services.settings.login_stall_time):
            with counted_sign_in(self._services.metrics, "provider"):
                return await self._sign_in(credentials, mode)

    async def _sign_in(self, credentials: LdapCredentials, mode: TokenMode) -> Tokens:
        await self._directory.access()
        attempts_on = self._counted_account(credentials.identifier)
        if await self._lockout.count_attempt(attempts_on, self._log_lockout):
            raise InvalidCredentials
        profile = await self._read_profile(credentials)
        user = await find_by_identifier(self._services, profile.identifier or "")
        signing_in = UserSignIn(self._directory, self._settings)
        if user is not None:
            try:
                await signing_in.check_account(user.account, credentials.otp)
            except UserSuspended:  # as the login with a password answers
                raise InvalidCredentials from None
        else:
            signing_in.check_registration(profile)
        grant = await signing_in.start_session(user, profile, None, mode)
        await self._services.database.run_write(
            lambda writer: self._lockout.reset(writer, attempts_on), exclusive=False
        )
        has_tfa = user is not None and user.account.tfa_secret is not None
        return await issue_tokens(self._services, grant, mode, self._directory.caller.ip, has_tfa=has_tfa)

    async def _read_profile(self, credentials: LdapCredentials) -> Profile:
        """Return the profile of the user whose password the directory accepts."""
        if not credentials.may_be_right:
            raise refused(self._settings, "the identifier or the password is empty, too long, or no valid text")
        identity = await self._identify(credentials)
        groups = identity.claims["groups"]
        role = mapped_role(groups, self._settings)
        if role is None and self._settings.role_mapping is None:
            role = await find_role_by_name(self._services, groups)
        profile = read_ldap_profile(identity.claims, self._settings, role)
        if profile.identifier is None or len(profile.identifier) > MAX_DN_LENGTH:
            raise refused(self._settings, f"the DN of the user is longer than {MAX_DN_LENGTH} characters")
        return profile

    async def _identify(self, credentials: LdapCredentials) -> Identity:
        try:
            return await self._provider.identify(credentials.identifier, credentials.password)
        except ProviderError as error:
            raise provider_failure(self._settings, error) from None

    def _counted_account(self, identifier: str) -> str:
        """Return the text under which attempts are counted, the same for all that may name one entry."""
        return f"{self._settings.name}:{fold_identifier(identifier[:MAX_CREDENTIAL_LENGTH])}"

    async def _log_lockout(self) -> None:
        self._services.metrics.lockouts.add("provider")
        refused(self._settings, "too many attempts: the client is locked out of this identifier")


def fold_identifier(identifier: str) -> str:
    """Return what is left of an identifier without all that directories may ignore when they search.

    They ignore case, spaces, width and invisible characters (RFC 4518); Active Directory ignores accents too. Otherwise
    each spelling of an identifier would have attempts of its own. That others may share them does no harm.
    """
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", identifier).casefold())
    return "".join(character for character in text if unicodedata.category(character)[0] in "LNPS")
