"""OpenID Connect: discovery, keys and ID tokens on top of OAuth 2."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from app.core.clock import Clock
from app.core.provider_settings import URL_PATTERN, OAuthSettings
from app.identity_providers.base import (
    AuthorizationRequest,
    AuthorizationResponse,
    Identity,
    IdentityRejected,
    ProviderError,
    ProviderUnavailable,
)
from app.identity_providers.http_client import ProviderHttpClient
from app.identity_providers.id_token import ExpectedToken, Jwk, NoSuchKey, accepted_algorithms, verify_id_token
from app.identity_providers.oauth2 import TokenEndpoint, authorization_url, optional_text, required_text

WELL_KNOWN = "/.well-known/openid-configuration"
METADATA_TTL = timedelta(hours=1)
"""How long metadata and keys are used before they are read again."""
MIN_KEY_AGE = timedelta(seconds=5)
"""Keys of this age are read again for a token with an unknown key; a flood of such tokens causes no more calls."""
MAX_KEYS = 100


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider announces of itself, and when this was read."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: frozenset[str]
    names_issuer: bool
    """Whether authorization responses must name the issuer (RFC 9207)."""
    read: datetime


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a provider, and when they were read."""

    keys: list[Jwk]
    read: datetime


class OpenIdProvider:
    """A provider with the driver `openid`; its metadata and keys are read when they are first needed."""

    renews_with: Literal["refresh_token"] = "refresh_token"

    def __init__(self, settings: OAuthSettings, http: ProviderHttpClient, clock: Clock) -> None:
        self.settings = settings
        self._tokens, self._http, self._clock = TokenEndpoint(settings, http), http, clock
        self._metadata: Metadata | None = None
        self._keys: KeySet | None = None
        self._reading = asyncio.Lock()
        self._last_failure: tuple[float, ProviderError] | None = None

    async def authorization_url(self, request: AuthorizationRequest) -> str:
        """Return the URL at which the user signs in."""
        metadata = await self._read_metadata()
        return authorization_url(metadata.authorization_endpoint, self.settings, request, {"nonce": request.nonce})

    async def identify(self, request: AuthorizationRequest, response: AuthorizationResponse) -> Identity:
        """Exchange a code for an ID token, verify it, and add the claims of the user info endpoint, if there is one."""
        metadata = await self._read_metadata()
        if response.issuer != metadata.issuer and (response.issuer is not None or metadata.names_issuer):
            raise IdentityRejected("the response comes from another issuer")
        tokens = await self._tokens.redeem(metadata.token_endpoint, request, response.code)
        expected = ExpectedToken(metadata.issuer, self.settings.client_id, request.nonce, metadata.algorithms)
        claims = await self._verify(required_text(tokens, "id_token"), expected, metadata)
        if metadata.userinfo_endpoint:
            info = await self._http.get(metadata.userinfo_endpoint, required_text(tokens, "access_token"))
            if info.get("sub") != claims["sub"]:
                raise IdentityRejected("the user info belongs to another user")
            claims = {**claims, **info}
        return Identity(claims, optional_text(tokens, "refresh_token"))

    async def refresh(self, proof: str) -> str | None:
        """Redeem a refresh token and return its successor."""
        metadata = await self._read_metadata()
        return optional_text(await self._tokens.refresh(metadata.token_endpoint, proof), "refresh_token")

    async def _verify(self, token: str, expected: ExpectedToken, metadata: Metadata) -> dict[str, Any]:
        """Verify an ID token, once more with new keys if none of the known ones verifies it."""
        keys = await self._read_keys(metadata, METADATA_TTL)
        try:
            return verify_id_token(token, keys.keys, expected, self._clock())
        except NoSuchKey:
            keys = await self._read_keys(metadata, MIN_KEY_AGE)
        try:
            return verify_id_token(token, keys.keys, expected, self._clock())
        except NoSuchKey:
            raise IdentityRejected("no key of the provider verifies the ID token") from None

    @asynccontextmanager
    async def _read_once(self) -> AsyncIterator[None]:
        """Let one task read at a time; if it fails, so do all that waited for it, instead of trying one by one."""
        started = time.monotonic()
        async with self._reading:
            if self._last_failure is not None and self._last_failure[0] >= started:
                raise ProviderUnavailable(str(self._last_failure[1]))
            try:
                yield
            except ProviderError as error:
                self._last_failure = time.monotonic(), error
                raise

    async def _read_metadata(self) -> Metadata:
        async with self._read_once():
            if self._metadata is None or self._clock() - self._metadata.read >= METADATA_TTL:
                base = str(self.settings.issuer_url).removesuffix(WELL_KNOWN).rstrip("/")
                self._metadata = _parse_metadata(await self._http.get(base + WELL_KNOWN), base, self._clock())
            return self._metadata

    async def _read_keys(self, metadata: Metadata, max_age: timedelta) -> KeySet:
        async with self._read_once():
            if self._keys is None or self._clock() - self._keys.read >= max_age:
                keys = (await self._http.get(metadata.jwks_uri)).get("keys")
                if not isinstance(keys, list):
                    raise ProviderUnavailable("the key set has no keys")
                usable = [key for key in keys if isinstance(key, dict)][:MAX_KEYS]
                self._keys = KeySet(usable, self._clock())
            return self._keys


def _parse_metadata(values: dict[str, Any], base: str, now: datetime) -> Metadata:
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not _is_url(values.get(name)):
            raise ProviderUnavailable(f"the metadata has no valid {name}")
    issuer, userinfo = values["issuer"], values.get("userinfo_endpoint")
    if issuer.rstrip("/") != base:
        raise IdentityRejected("the metadata names another issuer than the setting ISSUER_URL")
    return Metadata(
        issuer=issuer,
        authorization_endpoint=values["authorization_endpoint"],
        token_endpoint=values["token_endpoint"],
        jwks_uri=values["jwks_uri"],
        userinfo_endpoint=userinfo if _is_url(userinfo) else None,
        algorithms=accepted_algorithms(values.get("id_token_signing_alg_values_supported")),
        names_issuer=values.get("authorization_response_iss_parameter_supported") is True,
        read=now,
    )


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and URL_PATTERN.fullmatch(value) is not None
