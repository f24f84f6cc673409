"""Who a request claims to come from."""

from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from app.core.addresses import Trust, client_address
from app.core.caller import Caller
from app.core.config import Settings
from app.core.errors import InvalidCredentials, InvalidPayload
from app.core.security import is_signed, read_access_token

BEARER = "bearer "


class Identity:
    """Tells who a request claims to come from, by this server's settings and secret."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self._secret, self._cookie, self._trust = secret, settings.session_cookie_name, settings.ip_trust_proxy

    def of(self, scope: Scope) -> Caller:
        """The claim of one request; raises what `claimed_caller` does."""
        return claimed_caller(scope, secret=self._secret, cookie=self._cookie, trust=self._trust)


def claimed_caller(scope: Scope, *, secret: str, cookie: str, trust: Trust) -> Caller:
    """The claim of an HTTP request: `Authorization: Bearer`, `?access_token=`, or the session cookie, in this order.

    Raises InvalidPayload where more than one token is carried by headers and query (RFC 6750), InvalidCredentials for
    one that no database can hold, and what `read_access_token` raises. Other schemes than Bearer, and empty tokens,
    claim nothing, as with Directus.
    """
    headers = Headers(scope=scope)
    peer = scope["client"][0] if scope.get("client") else None
    # Some proxies add a header of their own to a client's: all of them are one list, the last is the nearest.
    ip = client_address(peer, ",".join(headers.getlist("x-forwarded-for")), trust)
    token = _token(scope, headers, cookie)
    if not token:
        return Caller(ip=ip)
    if "\0" in token:
        raise InvalidCredentials
    if not is_signed(token):
        return Caller(token=token, ip=ip)
    claims = read_access_token(token, secret)
    return Caller(user=claims.user, session=claims.session, ip=ip)


def _token(scope: Scope, headers: Headers, cookie: str) -> str | None:
    given = [
        line[len(BEARER) :].strip() for line in headers.getlist("authorization") if line.lower().startswith(BEARER)
    ]
    given += parse_qs(scope.get("query_string", b"").decode("latin-1")).get("access_token", [])
    tokens = list(filter(None, given))
    if len(tokens) > 1:
        raise InvalidPayload("The request uses more than one method for including an access token")
    return tokens[0] if tokens else cookie_parser(headers.get("cookie", "")).get(cookie)
