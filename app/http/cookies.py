"""The cookies that carry a session: their names and flags are the settings', their spelling is Directus'."""

from datetime import datetime
from email.utils import format_datetime
from typing import NamedTuple

from app.core.caller import Cookie
from app.core.config import Settings
from app.core.errors import InvalidCredentials, InvalidToken, RollcallError, TokenExpired
from app.http.head import Head
from app.http.reply import Header

NO_GOOD = (InvalidCredentials, InvalidToken, TokenExpired)
"""What a request is refused with whose session isn't any more."""


class Flags(NamedTuple):
    """How one of the two is called, and where it goes."""

    name: str
    domain: str | None
    secure: bool
    same_site: str


def spell(cookie: Cookie, settings: Settings, now: datetime) -> Header:
    """The header that sets a cookie, or takes it away."""
    flags = _flags(cookie, settings)
    seconds = round(cookie.ttl.total_seconds()) if cookie.value is not None else 0
    parts = [f"{flags.name}={cookie.value or ''}", f"Max-Age={seconds}"]
    parts += [f"Domain={flags.domain}"] if flags.domain else []
    parts += ["Path=/", f"Expires={format_datetime(now + cookie.ttl, usegmt=True)}", "HttpOnly"]
    parts += ["Secure"] if flags.secure else []
    return b"set-cookie", "; ".join([*parts, f"SameSite={flags.same_site.capitalize()}"]).encode("latin-1")


def taken_away(refusal: RollcallError, head: Head, settings: Settings, now: datetime) -> list[Header]:
    """Takes away a session's cookie that a request was refused for: a browser would send it for ever."""
    shown_besides = head.authorization or b"access_token" in head.query
    if not isinstance(refusal, NO_GOOD) or shown_besides or settings.session_cookie_name not in head.via().cookies:
        return []
    return [spell(Cookie("session"), settings, now)]


def _flags(cookie: Cookie, settings: Settings) -> Flags:
    if cookie.kind == "session":
        return Flags(
            settings.session_cookie_name,
            settings.session_cookie_domain,
            settings.session_cookie_secure,
            settings.session_cookie_same_site,
        )
    return Flags(
        settings.refresh_token_cookie_name,
        settings.refresh_token_cookie_domain,
        settings.refresh_token_cookie_secure,
        settings.refresh_token_cookie_same_site,
    )
