"""OAuth 2: the authorization code flow with PKCE (RFC 6749, RFC 7636), and the user's profile."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

from app.core.provider_settings import OAuthSettings
from app.identity_providers.base import (
    AuthorizationRequest,
    AuthorizationResponse,
    GrantRejected,
    Identity,
    IdentityRejected,
    ProviderUnavailable,
)
from app.identity_providers.http_client import ProviderHttpClient

INVALID_GRANT_CODES = ("invalid_grant", "bad_verification_code", "bad_refresh_token")
"""The error of RFC 6749, and those of GitHub."""


class OAuth2Provider:
    """A provider with the driver `oauth2`, whose URLs are all settings."""

    renews_with: Literal["refresh_token"] = "refresh_token"

    def __init__(self, settings: OAuthSettings, http: ProviderHttpClient) -> None:
        self.settings = settings
        self._tokens, self._http = TokenEndpoint(settings, http), http

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        """Return the URL at which the user signs in."""
        return authorization_url(str(self.settings.authorize_url), self.settings, request)

    async def identify(self, request: AuthorizationRequest, response: AuthorizationResponse) -> Identity:
        """Exchange a code for a token, and read the profile with it."""
        tokens = await self._tokens.redeem(str(self.settings.access_url), request, response.code)
        claims = await self._http.get(str(self.settings.profile_url), required_text(tokens, "access_token"))
        return Identity(claims, optional_text(tokens, "refresh_token"))

    async def refresh(self, proof: str) -> str | None:
        """Redeem a refresh token and return its successor."""
        tokens = await self._tokens.refresh(str(self.settings.access_url), proof)
        return optional_text(tokens, "refresh_token")


class TokenEndpoint:
    """Exchanges codes and refresh tokens, authenticated as the settings say."""

    def __init__(self, settings: OAuthSettings, http: ProviderHttpClient) -> None:
        self._settings, self._http = settings, http

    async def redeem(self, url: str, request: AuthorizationRequest, code: str) -> dict[str, Any]:
        """Return the tokens for a code.

        Raises:
            GrantRejected: The code is invalid, or was used before.
            ProviderUnavailable: There is no valid response.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": request.redirect_uri}
        return await self._post(url, {**form, "code_verifier": request.code_verifier})

    async def refresh(self, url: str, refresh_token: str) -> dict[str, Any]:
        """Return the tokens for a refresh token; raises as `redeem` does."""
        return await self._post(url, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def _post(self, url: str, form: Mapping[str, str]) -> dict[str, Any]:
        client_id, secret = self._settings.client_id, self._settings.client_secret
        basic = None
        if self._settings.client_token_endpoint_auth_method == "client_secret_basic":  # noqa: S105  # a method's name
            # RFC 6749, section 2.3.1: both are encoded like a form before they are joined
            basic = quote_plus(client_id), SecretStr(quote_plus(secret.get_secret_value()))
        else:
            form = {**form, "client_id": client_id, "client_secret": secret.get_secret_value()}
        response = await self._http.post(url, form, basic)
        if response.error in INVALID_GRANT_CODES:
            raise GrantRejected(f"POST {url}: {response.describe()}")
        if response.error is not None:
            raise ProviderUnavailable(f"POST {url}: {response.describe()}")
        return response.values


def authorization_url(
    endpoint: str,
    settings: OAuthSettings,
    request: AuthorizationRequest,
    parameters: Mapping[str, str] | None = None,
) -> str:
    """Return an authorization endpoint's URL with the parameters of a request, besides those it already has."""
    parts = urlsplit(endpoint)
    query = {
        **dict(parse_qsl(parts.query, keep_blank_values=True)),
        "scope": settings.scopes,
        "access_type": "offline",  # Google issues refresh tokens only then
        **({"prompt": "consent"} if request.consent else {}),
        **settings.params,
        **(parameters or {}),
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": request.redirect_uri,
        "state": request.state,
        "code_challenge": code_challenge(request.code_verifier),
        "code_challenge_method": "S256",
    }
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def code_challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def required_text(values: Mapping[str, Any], name: str) -> str:
    """Return a text of a token response; raises IdentityRejected if it is missing."""
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise IdentityRejected(f"the token response has no {name}")
    return value


def optional_text(values: Mapping[str, Any], name: str) -> str | None:
    """Return a text of a token response, None if it is missing."""
    value = values.get(name)
    return value if isinstance(value, str) and value else None
