"""The providers of one process, by name."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from app.core.clock import Clock
from app.core.config import Settings
from app.core.ldap_settings import LdapSettings
from app.core.provider_settings import OAuthSettings
from app.identity_providers.base import IdentityProvider, PasswordProvider, RedirectProvider

if TYPE_CHECKING:
    from app.identity_providers.http_client import ProviderHttpClient


class IdentityProviders:
    """The configured providers, with the connections that they share."""

    def __init__(
        self,
        redirecting: Mapping[str, RedirectProvider] | None = None,
        with_password: Mapping[str, PasswordProvider] | None = None,
        http: "ProviderHttpClient | None" = None,
    ) -> None:
        self.redirecting, self.with_password, self._http = redirecting or {}, with_password or {}, http
        self.by_name: Mapping[str, IdentityProvider] = {**self.redirecting, **self.with_password}

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock) -> "IdentityProviders":
        """Create the providers of the settings; nothing is called before a user signs in."""
        providers = settings.auth_providers
        with_password = _ldap_providers([each for each in providers if isinstance(each, LdapSettings)])
        redirecting = [each for each in providers if isinstance(each, OAuthSettings)]
        if not redirecting:
            return cls({}, with_password)
        from app.identity_providers.http_client import ProviderHttpClient  # noqa: PLC0415  # takes some MB of memory

        http = ProviderHttpClient()
        return cls({each.name: _create(each, http, clock) for each in redirecting}, with_password, http)

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()


def _create(settings: OAuthSettings, http: "ProviderHttpClient", clock: Clock) -> RedirectProvider:
    from app.identity_providers.oauth2 import OAuth2Provider  # noqa: PLC0415  # as above
    from app.identity_providers.openid import OpenIdProvider  # noqa: PLC0415

    return OpenIdProvider(settings, http, clock) if settings.driver == "openid" else OAuth2Provider(settings, http)


def _ldap_providers(settings: Iterable[LdapSettings]) -> dict[str, PasswordProvider]:
    if not (listed := list(settings)):
        return {}
    from app.identity_providers.ldap.provider import LdapProvider  # noqa: PLC0415  # as above

    return {each.name: LdapProvider(each) for each in listed}
