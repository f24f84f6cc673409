"""Who a request claims to come from."""

from urllib.parse import parse_qs

from starlette.requests import cookie_parser
from starlette.types import Scope

from app.core.addresses import Trust, client_address
from app.core.caller import Caller
from app.core.errors import InvalidCredentials, InvalidPayload
from app.core.security import VerifiedTokens

BEARER = "bearer "
TELLING = (b"authorization", b"cookie", b"x-forwarded-for")


class Identity:
    """Tells who a request claims to come from, by the name of the session cookie and whom to trust on addresses."""

    def __init__(self, tokens: VerifiedTokens, cookie: str, trust: Trust) -> None:
        self._tokens, self._cookie, self._trust = tokens, cookie, trust

    def of(self, scope: Scope) -> Caller:
        """The claim of a request: `Authorization: Bearer`, `?access_token=`, or the session cookie, in this order.

        Raises InvalidPayload where more than one token is carried by headers and query (RFC 6750), InvalidCredentials
        for one that no database can hold, and what reading a signed one does. Other schemes than Bearer, and empty
        tokens, claim nothing, as with Directus.
        """
        told: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            if name in TELLING:
                told.setdefault(name, []).append(value.decode("latin-1"))
        peer = scope["client"][0] if scope.get("client") else None
        # Some proxies add a header of their own to a client's: all of them are one list, the last is the nearest.
        ip = client_address(peer, ",".join(told.get(b"x-forwarded-for", ())), self._trust)
        token = self._token(scope, told)
        if not token:
            return Caller(ip=ip)
        if "\0" in token:
            raise InvalidCredentials
        claims = self._tokens.read(token)
        if claims is None:
            return Caller(token=token, ip=ip)
        return Caller(user=claims.user, session=claims.session, ip=ip)

    def _token(self, scope: Scope, told: dict[bytes, list[str]]) -> str | None:
        lines = told.get(b"authorization", ())
        given = [line[len(BEARER) :].strip() for line in lines if line[: len(BEARER)].lower() == BEARER]
        if query := scope.get("query_string"):
            given += parse_qs(query.decode("latin-1")).get("access_token", [])
        tokens = list(filter(None, given))
        if len(tokens) > 1:
            raise InvalidPayload("The request uses more than one method for including an access token")
        return tokens[0] if tokens else self._from_cookie(told.get(b"cookie", ()))

    def _from_cookie(self, lines: list[str] | tuple[()]) -> str | None:
        return cookie_parser(lines[0]).get(self._cookie) if lines else None
