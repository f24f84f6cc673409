"""One attempt to sign in with a provider, bound to a browser by a cookie.

The cookie holds a random id. State, nonce and PKCE verifier are derived from it with the server's secret: so every node
can complete the attempt, and the cookie reveals none of them.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.core.errors import InvalidToken, TokenExpired
from app.core.tokens import decode_jwt, encode_jwt
from app.identity_providers.base import AuthorizationRequest

SCOPE = "provider-sign-in"
"""Distinguishes the cookie from other tokens that are signed with the same secret."""
ID_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """An attempt: its provider, where it leads to, and the one-time password that the user entered before, if any.

    `consent` is whether the provider had to request the consent of the user again.
    """

    provider: str
    id: str = field(repr=False)
    redirect: str | None = None
    otp: str | None = field(default=None, repr=False)
    consent: bool = False

    @classmethod
    def start(cls, provider: str, redirect: str | None, otp: str | None, *, consent: bool) -> "SignInAttempt":
        """Return a new attempt."""
        return cls(provider, secrets.token_urlsafe(ID_BYTES), redirect, otp, consent)

    def request(self, redirect_uri: str, secret: str) -> AuthorizationRequest:
        """Return the values that bind the provider's response to this attempt."""
        state, nonce, verifier = (self._derive(purpose, secret) for purpose in ("state", "nonce", "verifier"))
        return AuthorizationRequest(redirect_uri, state, nonce, verifier, self.consent)

    def sign(self, secret: str, ttl: timedelta, now: datetime) -> str:
        """Return the value of the cookie, valid for `ttl`."""
        claims: dict[str, Any] = {"scope": SCOPE, "provider": self.provider, "attempt": self.id}
        optional = {"redirect": self.redirect, "otp": self.otp, "consent": self.consent or None}
        claims |= {name: value for name, value in optional.items() if value is not None}
        return encode_jwt(secret, claims, ttl, now)

    def _derive(self, purpose: str, secret: str) -> str:
        message = f"{SCOPE}:{purpose}:{self.provider}:{self.id}".encode()
        return urlsafe_b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).rstrip(b"=").decode()


def read_attempt(cookie: str | None, provider: str, secret: str) -> SignInAttempt | None:
    """Return the attempt in a cookie, None if there is no valid one for this provider."""
    try:
        claims = decode_jwt(cookie or "", secret, wrong_issuer=InvalidToken)
    except (InvalidToken, TokenExpired):
        return None
    id_, redirect, otp = (claims.get(name) for name in ("attempt", "redirect", "otp"))
    if claims.get("scope") != SCOPE or claims.get("provider") != provider or not isinstance(id_, str):
        return None
    return SignInAttempt(provider, id_, redirect, otp, claims.get("consent") is True)
