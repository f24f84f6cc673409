"""Finds out which caller a request claims to come from."""

import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.requests import cookie_parser

from app.core.api_tokens import hash_api_token, is_api_token
from app.core.cache import LRUCache
from app.core.caller import Caller
from app.core.errors import InvalidCredentials, InvalidPayload
from app.core.ip_addresses import ProxyTrust, client_address
from app.core.tokens import is_directus_jwt, verify_access_token
from app.core.values import is_storable
from app.http.request_head import RequestHead

BEARER_PREFIX = "bearer "
MAX_CACHED_CALLERS = 4096
MAX_CACHED_BYTES = 4096
"""Size of the headers and query string up to which a caller is cached."""


class CachedCaller(NamedTuple):
    """A caller, and the Unix time from which on its token is no longer valid."""

    caller: Caller
    expires: float


class Authenticator:
    """Reads the caller and the client IP from a request's head.

    Callers are cached until their token expires, as verifying a signed token costs more than answering many a query.
    Only what the request says is cached: every statement checks anew whether the user and the session still exist.
    """

    def __init__(self, secret: str, cookie: str, trust: ProxyTrust, now: Callable[[], float] = time.time) -> None:
        self._secret, self._cookie, self._trust, self._now = secret, cookie, trust, now
        self._callers: LRUCache[tuple[bytes | str | None, ...], CachedCaller] = LRUCache(MAX_CACHED_CALLERS)

    def authenticate(self, head: RequestHead) -> Caller:
        """Return the caller by `Authorization: Bearer`, `?access_token=`, or the session cookie, in this order.

        Other schemes than Bearer and empty tokens are ignored, as in Directus.

        Raises:
            InvalidPayload: Headers and query string contain more than one token (RFC 6750).
            InvalidCredentials: The token contains a character that no database stores, or has another issuer.
            TokenExpired: The token has expired.
            InvalidToken: The token is invalid in any other way.
        """
        return self.credentials(head).caller

    def credentials(self, head: RequestHead) -> CachedCaller:
        """Return the same, with the time at which the token expires."""
        key = (head.authorization, head.cookie, head.forwarded_for, head.query, head.peer)
        cached = self._callers.get(key, None)
        if cached is not None and self._now() < cached.expires:
            return cached
        read = self.token_credentials(self._token(head), self.client_ip(head))
        if sum(len(part or "") for part in key) <= MAX_CACHED_BYTES:
            self._callers.set(key, read)
        return read

    def is_identified_by_cookie(self, head: RequestHead) -> bool:
        """Return whether the session cookie is the only credential of a request."""
        cookies = cookie_parser(head.cookie.decode("latin-1"))
        return bool(cookies.get(self._cookie)) and self._token(head) == cookies[self._cookie]

    def client_ip(self, head: RequestHead) -> str | None:
        """Return the client's IP address, taking trusted proxies into account."""
        return client_address(head.peer, head.forwarded_for.decode("latin-1"), self._trust)

    def token_credentials(self, token: str | None, ip: str | None) -> CachedCaller:
        """Return the caller with this token, anonymous without one; raises as `authenticate`."""
        if not token:
            return CachedCaller(Caller(ip=ip), float("inf"))
        if not is_storable(token):
            raise InvalidCredentials
        if is_api_token(token):
            return CachedCaller(Caller(api_token=hash_api_token(token), ip=ip), float("inf"))
        if not is_directus_jwt(token):
            return CachedCaller(Caller(token=token, ip=ip), float("inf"))
        claims = verify_access_token(token, self._secret)
        caller = Caller(user=claims.user, session=claims.session, ip=ip, tfa_setup_required=claims.tfa_setup_required)
        return CachedCaller(caller, claims.expires)

    def _token(self, head: RequestHead) -> str | None:
        lines = head.authorization.decode("latin-1").split("\n")
        length = len(BEARER_PREFIX)
        found = [line[length:].strip() for line in lines if line[:length].lower() == BEARER_PREFIX]
        found += parse_qs(head.query.decode("latin-1")).get("access_token", [])
        tokens = list(filter(None, found))
        if len(tokens) > 1:
            raise InvalidPayload("The request uses more than one method for including an access token")
        return tokens[0] if tokens else cookie_parser(head.cookie.decode("latin-1")).get(self._cookie)
