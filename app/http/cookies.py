"""The cookies that carry a session: their names and flags are the settings', their spelling is Directus'."""

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
"""What a request is refused with whose session isn't any more."""


class CookieAttributes(NamedTuple):
    """How one of the two is called, and where it goes."""

    name: str
    domain: str | None
    secure: bool
    same_site: str


def set_cookie_header(cookie: ResponseCookie, settings: Settings, now: datetime) -> Header:
    """The header that sets a cookie, or takes it away."""
    flags = _flags(cookie, settings)
    seconds = round(cookie.ttl.total_seconds()) if cookie.value is not None else 0
    parts = [f"{flags.name}={cookie.value or ''}", f"Max-Age={seconds}"]
    parts += [f"Domain={flags.domain}"] if flags.domain else []
    parts += ["Path=/", f"Expires={format_datetime(now + cookie.ttl, usegmt=True)}", "HttpOnly"]
    parts += ["Secure"] if flags.secure else []
    return b"set-cookie", "; ".join([*parts, f"SameSite={flags.same_site.capitalize()}"]).encode("latin-1")


class ExpiredSessionCookie:
    """Takes away the cookie of a session that is over: a browser would send it for ever."""

    def __init__(self, services: Services, identity: Authenticator) -> None:
        self._services, self._identity = services, identity

    async def __call__(self, refusal: RollcallError, head: RequestHead) -> Sequence[Header]:
        """What is said beside a refusal to whoever showed such a cookie, and nothing else."""
        settings = self._services.settings
        shown_besides = head.authorization or b"access_token" in head.query
        if (
            not isinstance(refusal, SESSION_ERRORS)
            or shown_besides
            or settings.session_cookie_name not in head.client_info().cookies
        ):
            return ()
        try:
            # A wrong password is refused in the same words, and says nothing of the session.
            await Directory(self._identity.authenticate(head), self._services).fresh_access()
        except SESSION_ERRORS:
            return (set_cookie_header(ResponseCookie("session"), settings, self._services.clock()),)
        except RollcallError:
            pass
        return ()


def _flags(cookie: ResponseCookie, settings: Settings) -> CookieAttributes:
    if cookie.kind == "session":
        return CookieAttributes(
            settings.session_cookie_name,
            settings.session_cookie_domain,
            settings.session_cookie_secure,
            settings.session_cookie_same_site,
        )
    return CookieAttributes(
        settings.refresh_token_cookie_name,
        settings.refresh_token_cookie_domain,
        settings.refresh_token_cookie_secure,
        settings.refresh_token_cookie_same_site,
    )
