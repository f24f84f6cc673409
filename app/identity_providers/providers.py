"""The providers of one process, by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.core.auth_providers import ProviderSettings
from app.core.clock import Clock
from app.core.config import Settings
from app.identity_providers.base import IdentityProvider

if TYPE_CHECKING:
    from app.identity_providers.http_client import ProviderHttpClient


class IdentityProviders:
    """The configured providers, with the connections that they share."""

    def __init__(self, providers: Mapping[str, IdentityProvider], http: "ProviderHttpClient | None" = None) -> None:
        self.by_name, self._http = providers, http

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock) -> "IdentityProviders":
        """Create the providers of the settings; nothing is called before a user signs in."""
        if not settings.auth_providers:
            return cls({})
        from app.identity_providers.http_client import ProviderHttpClient  # noqa: PLC0415  # takes some MB of memory

        http = ProviderHttpClient()
        return cls({each.name: _create(each, http, clock) for each in settings.auth_providers}, http)

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()


def _create(settings: ProviderSettings, http: "ProviderHttpClient", clock: Clock) -> IdentityProvider:
    from app.identity_providers.oauth2 import OAuth2Provider  # noqa: PLC0415  # as above
    from app.identity_providers.openid import OpenIdProvider  # noqa: PLC0415

    return OpenIdProvider(settings, http, clock) if settings.driver == "openid" else OAuth2Provider(settings, http)
