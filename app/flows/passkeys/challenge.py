"""Challenges of passkeys: random values that an authenticator signs, each accepted once.

A challenge is sent to the client in a signed token, so that any node can verify the response, whichever issued it. The
client returns the token with the response; without it, a response is worth nothing.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from app.core.config import signing_secret
from app.core.errors import InvalidToken, TokenExpired
from app.core.tokens import decode_jwt, encode_jwt
from app.repositories.commands.accounts import Account
from app.repositories.services import Services
from app.repositories.stores.used_sign_ins import use_sign_in

CHALLENGE_BYTES = 32
CHALLENGE_TTL = timedelta(minutes=5)


class Purpose(StrEnum):
    """What a response to a challenge may be used for: the `scope` of its token."""

    REGISTRATION = "passkey-registration"
    SIGN_IN = "passkey-sign-in"
    SECOND_FACTOR = "passkey-second-factor"
    CONFIRMATION = "passkey-confirmation"


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge; that of a registration belongs to a user, and to the session if the caller has one.

    `account` is the digest of the user's account when a proof of it was verified, so that a change of the password
    makes that proof worthless: access tokens may outlive the change.
    """

    purpose: Purpose
    value: str = field(repr=False)
    account: str | None = field(default=None, repr=False)
    session: str | None = field(default=None, repr=False)

    @classmethod
    def start(cls, purpose: Purpose, account: Account | None = None, session: str | None = None) -> "Challenge":
        """Return a new challenge; `session` is the stored token of the caller's session."""
        digest = account.digest if account else None
        return cls(purpose, secrets.token_hex(CHALLENGE_BYTES), digest, session and _digest(session))

    @property
    def bytes(self) -> bytes:
        """The value that an authenticator signs."""
        return bytes.fromhex(self.value)

    def belongs_to(self, account: Account, session: str | None) -> bool:
        """Return whether the challenge was issued to the user of this account, unchanged since, and session."""
        return (self.account, self.session) == (account.digest, session and _digest(session))

    def sign(self, services: Services) -> str:
        """Return the token that the client sends back along with the response."""
        claims: dict[str, Any] = {"scope": self.purpose.value, "challenge": self.value}
        optional = {"account": self.account, "session": self.session}
        claims |= {name: value for name, value in optional.items() if value is not None}
        return encode_jwt(signing_secret(services.settings), claims, CHALLENGE_TTL, services.clock())

    async def consume(self, services: Services) -> bool:
        """Return whether the challenge has not been answered before, and note that it has been now."""
        return await use_sign_in(services, f"{self.purpose}:{self.value}", CHALLENGE_TTL)


def read_challenge(token: str, purpose: Purpose, services: Services) -> Challenge | None:
    """Return the challenge in a token, None if it is no valid token for this purpose."""
    try:
        claims = decode_jwt(token, signing_secret(services.settings), wrong_issuer=InvalidToken)
    except (InvalidToken, TokenExpired):
        return None
    value = claims.get("challenge")
    if claims.get("scope") != purpose.value or not isinstance(value, str):
        return None
    return Challenge(purpose, value, claims.get("account"), claims.get("session"))


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
