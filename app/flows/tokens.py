"""Issues the tokens of a session, in the three modes in which clients store them."""

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
    """How a client stores its tokens.

    JSON: the response body has both tokens. COOKIE: the refresh token is a cookie. SESSION: a single signed token,
    which is a cookie.
    """

    JSON = "json"
    COOKIE = "cookie"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a response body and its cookies; `expires` is the lifetime of the token that gives access."""

    expires: timedelta
    access: str | None = field(default=None, repr=False)
    refresh: str | None = field(default=None, repr=False)
    cookies: tuple[ResponseCookie, ...] = ()
    must_set_up_tfa: bool = False
    """Whether the user can do nothing else before setting up two-factor authentication."""


def session_ttl(services: Services, mode: TokenMode) -> timedelta:
    """Return how long a session lasts without a refresh."""
    settings = services.settings
    return settings.session_cookie_ttl if mode is TokenMode.SESSION else settings.refresh_token_ttl


async def issue_tokens(
    services: Services, grant: SessionGrant, mode: TokenMode, ip: str | None, *, has_tfa: bool
) -> Tokens:
    """Return the tokens of a session.

    Their claims tell clients what the user may do from `ip`, and whether the user must set up two-factor
    authentication, which is so if a policy enforces it and the account has none.

    Raises:
        InvalidCredentials: The session's user is no longer active.
    """
    access = await Directory(Caller(user=grant.user, ip=ip), services).fresh_access()
    settings, now = services.settings, services.clock()
    must_set_up_tfa = access.enforce_tfa and not has_tfa
    if mode is TokenMode.SESSION:
        remaining = grant.expires - now
        signed = _sign(services, grant, access, remaining, session=grant.stored_token, has_tfa=has_tfa)
        cookies = (ResponseCookie("session", signed, remaining),)
        return Tokens(settings.session_cookie_ttl, cookies=cookies, must_set_up_tfa=must_set_up_tfa)
    ttl = settings.access_token_ttl
    signed = _sign(services, grant, access, ttl, session=None, has_tfa=has_tfa)
    if mode is TokenMode.COOKIE:
        return Tokens(ttl, signed, cookies=(ResponseCookie("refresh", grant.token, settings.refresh_token_ttl),))
    return Tokens(ttl, signed, grant.token)


def _sign(
    services: Services, grant: SessionGrant, access: Access, ttl: timedelta, *, session: str | None, has_tfa: bool
) -> str:
    return sign_access_token(
        signing_secret(services.settings),
        grant.user,
        role=access.state.role,
        admin_access=access.admin,
        app_access=access.app,
        tfa_setup_required=access.enforce_tfa and not has_tfa,
        session=session,
        ttl=ttl,
        now=services.clock(),
    )
