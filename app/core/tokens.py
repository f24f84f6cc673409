"""Signed tokens, in the form Directus writes and reads."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jose import jwt
from jose.exceptions import ExpiredSignatureError, JWTClaimsError, JWTError

from app.core.clock import utc_now
from app.core.errors import InvalidCredentials, InvalidToken, RollcallError, TokenExpired

ISSUER = "directus"
ALGORITHM = "HS256"
MAX_TOKEN_LENGTH = 8192
_THREE_PARTS = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a signed token is believed: whose it is, the session it belongs to, if any, and when it ends.

    `expires` is the last second of Unix time at which it is good; `enrolling` says that it was given to somebody who
    has to set up a second factor first.
    """

    user: str
    session: str | None = field(default=None, repr=False)
    expires: int = field(default=0, compare=False)
    tfa_setup_required: bool = False


def encode_jwt(secret: str, claims: dict[str, Any], ttl: timedelta, now: datetime) -> str:
    """A token of ours that makes these claims for `ttl`."""
    issued = int(now.astimezone(UTC).timestamp())
    told = {**claims, "iat": issued, "exp": issued + int(ttl.total_seconds()), "iss": ISSUER}
    return str(jwt.encode(told, secret, ALGORITHM))


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
    """An access token as Directus writes it; role and flags are for clients to read, nobody believes them here.

    But for `enrolling`, which takes rights away.
    """
    claims: dict[str, Any] = {"id": user, "role": role, "app_access": app_access, "admin_access": admin_access}
    if tfa_setup_required:
        claims["enforce_tfa"] = True
    if session is not None:
        claims["session"] = session
    return encode_jwt(secret, claims, ttl, now or utc_now())


def is_directus_jwt(token: str) -> bool:
    """Whether a token says it is a signed one of ours; as with Directus, anything else is taken for a static token."""
    if token.count(".") != 2:  # header.claims.signature
        return False
    try:
        return bool(jwt.get_unverified_claims(token).get("iss") == ISSUER)
    except (JWTError, RecursionError):  # json nested so deeply that it can't be read
        return False


def verify_access_token(token: str, secret: str) -> AccessClaims:
    """A signed token -> what it is believed.

    Raises TokenExpired, InvalidCredentials for a token that somebody else issued, InvalidToken for everything else
    that isn't right: another algorithm than HS256, no expiry, a wrong signature, a time to come, no user.
    """
    return _parse_claims(decode_jwt(token, secret, wrong_issuer=InvalidCredentials))


def decode_jwt(token: str, secret: str, *, wrong_issuer: type[RollcallError]) -> dict[str, Any]:
    """What a token claims that we, or a Directus with the same secret, have signed.

    Raises TokenExpired, `foreign` for one that somebody else issued, and InvalidToken as above.
    """
    # The library reads over characters that base64 doesn't know: one token would have many spellings.
    if len(token) > MAX_TOKEN_LENGTH or not _THREE_PARTS.fullmatch(token):
        raise InvalidToken
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != ALGORITHM or "crit" in header:
            raise InvalidToken
        return jwt.decode(token, secret, [ALGORITHM], issuer=ISSUER, options={"require_exp": True, "require_iss": True})
    except ExpiredSignatureError:
        raise TokenExpired from None
    except JWTClaimsError as error:
        raise (wrong_issuer if "issuer" in str(error).lower() else InvalidToken) from None
    except JWTError as error:
        raise (wrong_issuer if 'missing required key "iss"' in str(error) else InvalidToken) from None


def _parse_claims(claims: dict[str, Any]) -> AccessClaims:
    user, session = claims.get("id"), claims.get("session")
    known = {"role", "app_access", "admin_access"} <= claims.keys()
    if not known or not isinstance(user, str) or not isinstance(session, str | None):
        raise InvalidToken
    try:
        expires, enrolling = int(claims["exp"]), claims.get("enforce_tfa") is True
        return AccessClaims(str(UUID(user)), session, expires, enrolling)
    except ValueError:
        raise InvalidToken from None
