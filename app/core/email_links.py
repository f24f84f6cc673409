"""Links that go by mail: what one is good for, where it may lead, and how Directus signs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.core.errors import Forbidden, InvalidToken
from app.core.tokens import decode_jwt, encode_jwt

NO_PASSWORD_HASH = "null"  # noqa: S105 - what is told apart where there is none
DEFAULT_PORTS = {"http": 80, "https": 443}


class LinkPurpose(StrEnum):
    """What a link is good for: the `scope` its token says."""

    INVITATION = "invite"
    RESET = "password-reset"
    REGISTRATION = "pending-registration"


@dataclass(frozen=True, slots=True)
class EmailLink:
    """What a link's token is believed: its purpose, whose address it was sent to, and what it is bound to.

    `user` is the row it was made for, so that it leads to no later one with the same address; a neighbouring Directus
    doesn't say. `password` is the fingerprint of the password that it may replace.
    """

    purpose: LinkPurpose
    email: str
    user: str | None = None
    password_fingerprint: str | None = None


def sign_link_token(secret: str, link: EmailLink, ttl: timedelta, now: datetime) -> str:
    """The token of a link that is good for `ttl`."""
    claims: dict[str, Any] = {"email": link.email, "scope": link.purpose.value}
    if link.user is not None:
        claims["user"] = link.user
    if link.password_fingerprint is not None:
        claims["hash"] = link.password_fingerprint
    return encode_jwt(secret, claims, ttl, now)


def verify_link_token(token: str, secret: str, purpose: LinkPurpose) -> EmailLink:
    """A token out of a link -> what it is believed.

    Raises TokenExpired, Forbidden for a token that was made for something else, InvalidToken for everything else that
    isn't right.
    """
    claims = decode_jwt(token, secret, wrong_issuer=InvalidToken)
    if claims.get("scope") != purpose.value:
        raise Forbidden
    email, user, password = (claims.get(name) for name in ("email", "user", "hash"))
    if not isinstance(email, str) or not isinstance(user, str | None) or not isinstance(password, str | None):
        raise InvalidToken
    return EmailLink(purpose, email, user, password)


def password_fingerprint(password_hash: str | None) -> str:
    """What tells one password's hash from the next, as Directus puts it into the link that resets it.

    The polynomial hash of 31 in 32 bits, its magnitude in hexadecimal digits; `null` stands for no password. It
    proves nothing on its own: the token around it is signed.
    """
    told = 0
    for character in password_hash or NO_PASSWORD_HASH:
        told = (told * 31 + ord(character)) & 0xFFFFFFFF
    return f"{abs(told - (1 << 32) if told >= 1 << 31 else told):x}"


def is_allowed_url(url: str, allowed: Sequence[str]) -> bool:
    """Whether a URL is one of those allowed: the same scheme, host, port and path; its query and fragment are free."""
    place = _normalized_url(url)
    return place is not None and place in {_normalized_url(one) for one in allowed}


def add_token(url: str, token: str) -> str:
    """A URL that carries a token in its query, and no fragment."""
    parts = urlsplit(url)
    given = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "token"]
    return urlunsplit(parts._replace(query=urlencode([*given, ("token", token)]), fragment=""))


def _normalized_url(url: str) -> tuple[str, str, int | None, str] | None:
    """Where a URL leads; None for one that names no host, or that browsers and we might read differently."""
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
