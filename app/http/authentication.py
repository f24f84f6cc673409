"""Who a request claims to come from."""

import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.requests import cookie_parser

from app.core.cache import LRUCache
from app.core.caller import Caller
from app.core.errors import InvalidCredentials, InvalidPayload
from app.core.ip_addresses import ProxyTrust, client_address
from app.core.tokens import is_directus_jwt, verify_access_token
from app.http.request_head import RequestHead

BEARER = "bearer "
CLAIMS = 4096
"""Claims that are remembered at once."""
LONGEST = 4096
"""Bytes of a claim that is remembered; longer ones are read each time."""


class CachedCaller(NamedTuple):
    """Whom a request claims to come from, and the last moment, in Unix time, at which it may."""

    caller: Caller
    expires: float


class Authenticator:
    """Tells who a request claims to come from: by the server's secret, its session cookie, and whom it trusts.

    A claim is remembered until it expires, as reading a signed token costs more than answering many a query. What is
    remembered is what the request says; whether that user and session still are is asked with every statement.
    """

    def __init__(self, secret: str, cookie: str, trust: ProxyTrust, now: Callable[[], float] = time.time) -> None:
        self._secret, self._cookie, self._trust, self._now = secret, cookie, trust, now
        self._kept: LRUCache[tuple[bytes | str | None, ...], CachedCaller] = LRUCache(CLAIMS)

    def authenticate(self, head: RequestHead) -> Caller:
        """The claim of a request: `Authorization: Bearer`, `?access_token=`, or the session cookie, in this order.

        Raises InvalidPayload where more than one token is carried by headers and query (RFC 6750), InvalidCredentials
        for one that no database can hold, and what `read_access_token` raises. Other schemes than Bearer, and empty
        tokens, claim nothing, as with Directus.
        """
        made_of = (head.authorization, head.cookie, head.forwarded_for, head.query, head.peer)
        known = self._kept.get(made_of, None)
        if known is not None and self._now() < known.expires:
            return known.caller
        claim = self._read(head)
        if sum(len(part or "") for part in made_of) <= LONGEST:
            self._kept.set(made_of, claim)
        return claim.caller

    def client_ip(self, head: RequestHead) -> str | None:
        """Where a request comes from, as far as those are believed that passed it on."""
        return client_address(head.peer, head.forwarded_for.decode("latin-1"), self._trust)

    def _read(self, head: RequestHead) -> CachedCaller:
        ip = self.client_ip(head)
        token = self._token(head)
        if not token:
            return CachedCaller(Caller(ip=ip), float("inf"))
        if "\0" in token:
            raise InvalidCredentials
        if not is_directus_jwt(token):
            return CachedCaller(Caller(token=token, ip=ip), float("inf"))
        claims = verify_access_token(token, self._secret)
        caller = Caller(user=claims.user, session=claims.session, ip=ip, tfa_setup_required=claims.tfa_setup_required)
        return CachedCaller(caller, claims.expires)

    def _token(self, head: RequestHead) -> str | None:
        lines = head.authorization.decode("latin-1").split("\n")
        given = [line[len(BEARER) :].strip() for line in lines if line[: len(BEARER)].lower() == BEARER]
        given += parse_qs(head.query.decode("latin-1")).get("access_token", [])
        tokens = list(filter(None, given))
        if len(tokens) > 1:
            raise InvalidPayload("The request uses more than one method for including an access token")
        return tokens[0] if tokens else cookie_parser(head.cookie.decode("latin-1")).get(self._cookie)
