"""What a sign-in needs from a provider, whichever protocol it speaks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from app.core.provider_settings import OAuthSettings, ProviderSettings

Claims = Mapping[str, Any]
"""What a provider says of a user, by claim."""


class ProviderError(Exception):
    """A provider can't complete a sign-in. The message is for the log, and never contains a secret."""


class ProviderUnavailable(ProviderError):
    """The provider is unreachable, too slow, or sends something that is no valid response."""


class GrantRejected(ProviderError):
    """The provider rejects a code or a refresh token: it is invalid, expired or revoked."""


class IdentityRejected(ProviderError):
    """What the provider says of the user can't be trusted, for example because of an invalid signature."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """The values that bind one sign-in to a browser; `consent` makes the provider ask the user again."""

    redirect_uri: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    consent: bool = False


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """What the browser brings back from the provider; `issuer` is the one that the response names, if any."""

    code: str = field(repr=False)
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as the provider describes it, and its refresh token, if it issued one."""

    claims: Claims = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)


class IdentityProvider(Protocol):
    """A provider that users sign in with. Every method raises ProviderError if the provider fails."""

    @property
    def settings(self) -> ProviderSettings:
        """The settings of the provider."""
        ...

    @property
    def renews_with(self) -> Literal["refresh_token", "identifier"]:
        """What `refresh` receives: the provider's refresh token, or the user's identifier."""
        ...

    async def refresh(self, proof: str) -> str | None:
        """Confirm that the user may stay signed in; return the new refresh token, None if the old one stays valid.

        Raises:
            GrantRejected: The user may not.
        """
        ...


class RedirectProvider(IdentityProvider, Protocol):
    """A provider to which the browser is redirected."""

    @property
    def settings(self) -> OAuthSettings: ...

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        """Return the URL at which the user signs in at the provider."""
        ...

    async def identify(self, request: AuthorizationRequest, response: AuthorizationResponse) -> Identity:
        """Exchange a code for the user's identity, which is verified as the protocol demands."""
        ...


class PasswordProvider(IdentityProvider, Protocol):
    """A provider that verifies a password which the user enters here."""

    async def identify(self, identifier: str, password: str) -> Identity:
        """Return the identity of a user, whose password the provider has verified.

        Raises:
            IdentityRejected: The user is unknown or disabled, or the password is wrong.
        """
        ...
