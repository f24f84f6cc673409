"""Signed tokens (JWT) in Directus' format."""

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from jose import jwt
from jose.exceptions import ExpiredSignatureError, JWTClaimsError, JWTError

from app.core.clock import utc_now
from app.core.errors import InvalidCredentials, InvalidToken, RollcallError, TokenExpired
from app.core.values import is_storable

ISSUER = "directus"
ALGORITHM = "HS256"
PARTS = 3
"""Header, claims and signature."""
DATE_CLAIMS = ("exp", "nbf", "iat")
"""Claims that are Unix times (RFC 7519)."""
MAX_TOKEN_LENGTH = 8192
_THREE_PARTS = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The verified claims of an access token.

    `session` is the session that the token belongs to, if any. `expires` is the last second of Unix time at which it is
    valid. `tfa_setup_required` means that its user must set up two-factor authentication first.
    """

    user: str
    session: str | None = field(default=None, repr=False)
    expires: int = field(default=0, compare=False)
    tfa_setup_required: bool = False


def encode_jwt(secret: str, claims: dict[str, Any], ttl: timedelta, now: datetime) -> str:
    """Return a signed token with these claims, valid for `ttl`."""
    issued = int(now.astimezone(UTC).timestamp())
    payload = {**claims, "iat": issued, "exp": issued + int(ttl.total_seconds()), "iss": ISSUER}
    return str(jwt.encode(payload, secret, ALGORITHM))


def sign_access_token(
    secret: str,
    user: str,
    *,
    role: str | None = None,
    admin_access: bool = False,
    app_access: bool = False,
    tfa_setup_required: bool = False,
    session: str | None = None,
    ttl: timedelta,
    now: datetime | None = None,
) -> str:
    """Return a signed access token in Directus' format.

    Role and access flags are only for clients to read; this server ignores them. It does respect `tfa_setup_required`,
    which only restricts what the caller may do.
    """
    claims: dict[str, Any] = {"id": user, "role": role, "app_access": app_access, "admin_access": admin_access}
    if tfa_setup_required:
        claims["enforce_tfa"] = True
    if session is not None:
        claims["session"] = session
    return encode_jwt(secret, claims, ttl, now or utc_now())


def is_directus_jwt(token: str) -> bool:
    """Return whether a token is a JWT that names Directus as its issuer, without verifying it.

    Anything else is a static token, as in Directus: also if its claims are no JSON, such as `Infinity`.
    """
    parts = token.split(".")
    return len(parts) == PARTS and (_json_object(parts[1]) or {}).get("iss") == ISSUER


def verify_access_token(token: str, secret: str) -> AccessClaims:
    """Return the verified claims of an access token.

    Raises:
        TokenExpired: The token has expired.
        InvalidCredentials: The token has another issuer.
        InvalidToken: The token is invalid in any other way: another algorithm than HS256, no expiry, a wrong signature,
            not valid yet, no user.
    """
    return _parse_claims(decode_jwt(token, secret, wrong_issuer=InvalidCredentials))


def decode_jwt(token: str, secret: str, *, wrong_issuer: type[RollcallError]) -> dict[str, Any]:
    """Return the claims of a token that was signed with this secret, by this server or by Directus.

    Raises:
        TokenExpired: The token has expired.
        InvalidToken: The token is invalid in any other way.
        RollcallError: `wrong_issuer`, if the token has another issuer.
    """
    # the library skips characters outside the base64 alphabet, so that one token would have many spellings
    if len(token) > MAX_TOKEN_LENGTH or not _THREE_PARTS.fullmatch(token):
        raise InvalidToken
    header, claims = (_json_object(part) for part in token.split(".")[:2])
    if header is None or claims is None or not _has_usable_claims(claims):
        raise InvalidToken
    if header.get("alg") != ALGORITHM or "crit" in header:
        raise InvalidToken
    try:
        return jwt.decode(token, secret, [ALGORITHM], issuer=ISSUER, options={"require_exp": True, "require_iss": True})
    except ExpiredSignatureError:
        raise TokenExpired from None
    except JWTClaimsError as error:
        raise (wrong_issuer if "issuer" in str(error).lower() else InvalidToken) from None
    except JWTError as error:
        raise (wrong_issuer if 'missing required key "iss"' in str(error) else InvalidToken) from None


def _json_object(part: str) -> dict[str, Any] | None:
    """Return the JSON object in a part of a token; None if it is none.

    The library's parser also accepts `Infinity` and unpaired surrogates, which fail where they are used.
    """
    try:
        value = orjson.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:  # binascii.Error too
        return None
    return value if isinstance(value, dict) else None


def _has_usable_claims(claims: dict[str, Any]) -> bool:
    """Return whether dates are numbers and texts can be compared with stored ones."""
    dates = [claims[name] for name in DATE_CLAIMS if name in claims]
    texts = [value for value in claims.values() if isinstance(value, str)]
    return all(type(date) in (int, float) for date in dates) and all(map(is_storable, texts))


def _parse_claims(claims: dict[str, Any]) -> AccessClaims:
    user, session = claims.get("id"), claims.get("session")
    is_complete = {"role", "app_access", "admin_access"} <= claims.keys()
    if not is_complete or not isinstance(user, str) or not isinstance(session, str | None):
        raise InvalidToken
    try:
        expires, tfa_setup_required = int(claims["exp"]), claims.get("enforce_tfa") is True
        return AccessClaims(str(UUID(user)), session, expires, tfa_setup_required)
    except ValueError:
        raise InvalidToken from None
