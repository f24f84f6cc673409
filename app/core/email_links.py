"""Links in emails: their purposes, their allowed targets, and their tokens in Directus' format."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.core.errors import Forbidden, InvalidToken
from app.core.tokens import decode_jwt, encode_jwt

NO_PASSWORD_HASH = "null"  # noqa: S105  # takes the place of the hash of a user without a password
DEFAULT_PORTS = {"http": 80, "https": 443}


class LinkPurpose(StrEnum):
    """What a link can be used for: its token's `scope`."""

    INVITATION = "invite"
    RESET = "password-reset"
    REGISTRATION = "pending-registration"


@dataclass(frozen=True, slots=True)
class EmailLink:
    """The verified claims of a link's token.

    `email` is the address that the link was sent to. `user` is the id of the user it was created for, so that it cannot
    be used for a later user with the same address; a token signed by Directus lacks it. `password_fingerprint`
    identifies the password that the link may replace.
    """

    purpose: LinkPurpose
    email: str
    user: str | None = None
    password_fingerprint: str | None = None


def sign_link_token(secret: str, link: EmailLink, ttl: timedelta, now: datetime) -> str:
    """Return a signed token for a link, valid for `ttl`."""
    claims: dict[str, Any] = {"email": link.email, "scope": link.purpose.value}
    if link.user is not None:
        claims["user"] = link.user
    if link.password_fingerprint is not None:
        claims["hash"] = link.password_fingerprint
    return encode_jwt(secret, claims, ttl, now)


def verify_link_token(token: str, secret: str, purpose: LinkPurpose) -> EmailLink:
    """Return the verified claims of a link's token.

    Raises:
        TokenExpired: The token is valid, but has expired.
        Forbidden: The token is valid, but for another purpose.
        InvalidToken: The token is invalid in any other way.
    """
    claims = decode_jwt(token, secret, wrong_issuer=InvalidToken)
    if claims.get("scope") != purpose.value:
        raise Forbidden
    email, user, fingerprint = (claims.get(name) for name in ("email", "user", "hash"))
    if not isinstance(email, str) or not isinstance(user, str | None) or not isinstance(fingerprint, str | None):
        raise InvalidToken
    return EmailLink(purpose, email, user, fingerprint)


def password_fingerprint(password_hash: str | None) -> str:
    """Return a checksum of a password hash, as Directus puts it into a password reset link.

    It is the polynomial hash with base 31 in 32 bits, its absolute value in hexadecimal; None counts as the text
    `null`. It is not a cryptographic proof: the token that contains it is signed.
    """
    checksum = 0
    for character in password_hash or NO_PASSWORD_HASH:
        checksum = (checksum * 31 + ord(character)) & 0xFFFFFFFF
    return f"{abs(checksum - (1 << 32) if checksum >= 1 << 31 else checksum):x}"


def is_allowed_url(url: str, allowed: Sequence[str]) -> bool:
    """Return whether a URL has the scheme, host, port and path of an allowed one; query and fragment are ignored."""
    target = _url_target(url)
    return target is not None and target in {_url_target(allowed_url) for allowed_url in allowed}


def is_same_origin(url: str, other: str) -> bool:
    """Return whether two URLs have the same scheme, host and port."""
    target, other_target = _url_target(url), _url_target(other)
    return target is not None and other_target is not None and target[:3] == other_target[:3]


def add_token(url: str, token: str) -> str:
    """Return the URL with `token` in its query, in place of any other, and without a fragment."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "token"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("token", token)]), fragment=""))


def _url_target(url: str) -> tuple[str, str, int | None, str] | None:
    """Return scheme, host, port and path; None without a host, or if a browser might parse the URL differently."""
    if "\\" in url or "@" in url or any(character <= " " or not character.isprintable() for character in url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port, parts.path or "/"
