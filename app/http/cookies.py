"""The cookies of sessions and sign-ins: named and restricted by the settings, formatted as by Directus."""

from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import NamedTuple

from app.core.caller import ResponseCookie
from app.core.config import Settings
from app.core.errors import InvalidCredentials, InvalidToken, RollcallError, TokenExpired
from app.http.authentication import Authenticator
from app.http.request_head import RequestHead
from app.http.response import Header
from app.repositories.directory import Directory
from app.repositories.services import Services

SESSION_ERRORS = (InvalidCredentials, InvalidToken, TokenExpired)
"""The errors of a request whose session is no longer valid."""


class CookieAttributes(NamedTuple):
    """A cookie's name, and where browsers send it."""

    name: str
    domain: str | None
    secure: bool
    same_site: str


def set_cookie_header(cookie: ResponseCookie, settings: Settings, now: datetime) -> Header:
    """Return the header that sets a cookie, or deletes it if it has no value."""
    attributes = _attributes(cookie, settings)
    max_age = round(cookie.ttl.total_seconds()) if cookie.value is not None else 0
    parts = [f"{attributes.name}={cookie.value or ''}", f"Max-Age={max_age}"]
    parts += [f"Domain={attributes.domain}"] if attributes.domain else []
    parts += ["Path=/", f"Expires={format_datetime(now + cookie.ttl, usegmt=True)}", "HttpOnly"]
    parts += ["Secure"] if attributes.secure else []
    return b"set-cookie", "; ".join([*parts, f"SameSite={attributes.same_site.capitalize()}"]).encode("latin-1")


class ExpiredSessionCookie:
    """Deletes the cookie of an invalid session, which a browser would otherwise send forever."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services, self._authenticator = services, authenticator

    async def __call__(self, error: RollcallError, head: RequestHead) -> Sequence[Header]:
        """Return the header that deletes the session cookie, if the request had no other token and it is invalid."""
        settings = self._services.settings
        has_other_token = head.authorization or b"access_token" in head.query
        if (
            not isinstance(error, SESSION_ERRORS)
            or has_other_token
            or settings.session_cookie_name not in head.client_info().cookies
        ):
            return ()
        try:
            # The error alone doesn't tell: a wrong password raises the same one.
            await Directory(self._authenticator.authenticate(head), self._services).fresh_access()
        except SESSION_ERRORS:
            return (set_cookie_header(ResponseCookie("session"), settings, self._services.clock()),)
        except RollcallError:
            pass
        return ()


def _attributes(cookie: ResponseCookie, settings: Settings) -> CookieAttributes:
    if cookie.kind == "session":
        return CookieAttributes(
            settings.session_cookie_name,
            settings.session_cookie_domain,
            settings.session_cookie_secure,
            settings.session_cookie_same_site,
        )
    if cookie.kind == "sign_in":  # sent along when the provider leads back to this server
        is_https = (settings.public_url or "").lower().startswith("https:")
        return CookieAttributes(cookie.name, None, is_https, "lax")
    return CookieAttributes(
        settings.refresh_token_cookie_name,
        settings.refresh_token_cookie_domain,
        settings.refresh_token_cookie_secure,
        settings.refresh_token_cookie_same_site,
    )
