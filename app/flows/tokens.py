"""The tokens that somebody is given who has signed in, in the three ways that clients carry them."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from app.core.caller import Caller, ResponseCookie
from app.core.config import signing_secret
from app.core.tokens import sign_access_token
from app.policy.rules import Access
from app.repositories.directory import Directory
from app.repositories.services import Services
from app.repositories.stores.sessions import SessionGrant


class TokenMode(StrEnum):
    """How a client carries its tokens.

    JSON: both are told. COOKIE: the refresh token is a cookie. SESSION: one signed token, a cookie, is all there is.
    """

    JSON = "json"
    COOKIE = "cookie"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is told, and what is handed over as cookies; `expires` is how long what gives access is good."""

    expires: timedelta
    access: str | None = field(default=None, repr=False)
    refresh: str | None = field(default=None, repr=False)
    cookies: tuple[ResponseCookie, ...] = ()


def session_ttl(services: Services, mode: TokenMode) -> timedelta:
    """How long a session lasts that isn't refreshed."""
    settings = services.settings
    return settings.session_cookie_ttl if mode is TokenMode.SESSION else settings.refresh_token_ttl


async def issue_tokens(
    services: Services, begun: SessionGrant, mode: TokenMode, ip: str | None, *, second_factor: bool
) -> Tokens:
    """The tokens of a session; raises InvalidCredentials where its user isn't active any more.

    They say what the user may do from `ip`, for clients to read, and that a second factor has to be set up where one
    is wanted and there isn't one.
    """
    access = await Directory(Caller(user=begun.user, ip=ip), services).fresh_access()
    settings, now = services.settings, services.clock()
    if mode is TokenMode.SESSION:
        left = begun.expires - now
        signed = _sign(services, begun, access, left, session=begun.stored, second_factor=second_factor)
        return Tokens(settings.session_cookie_ttl, cookies=(ResponseCookie("session", signed, left),))
    ttl = settings.access_token_ttl
    signed = _sign(services, begun, access, ttl, session=None, second_factor=second_factor)
    if mode is TokenMode.COOKIE:
        return Tokens(ttl, signed, cookies=(ResponseCookie("refresh", begun.token, settings.refresh_token_ttl),))
    return Tokens(ttl, signed, begun.token)


def _sign(
    services: Services, begun: SessionGrant, access: Access, ttl: timedelta, *, session: str | None, second_factor: bool
) -> str:
    return sign_access_token(
        signing_secret(services.settings),
        begun.user,
        role=access.state.role,
        admin_access=access.admin,
        app_access=access.app,
        tfa_setup_required=access.enforce_tfa and not second_factor,
        session=session,
        ttl=ttl,
        now=services.clock(),
    )
