"""The parts of a request's head that the server uses, read once."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import count
from operator import itemgetter
from secrets import token_hex
from typing import Any

from starlette.requests import cookie_parser
from starlette.types import Scope

from app.core.caller import ClientInfo

READ_METHODS = ("GET", "HEAD")
SEPARATORS = {b"authorization": b"\n", b"x-forwarded-for": b","}
"""What joins the values of a header that occurs more than once; "; " if not listed."""
VALID_REQUEST_ID = re.compile(rb"[\w.:-]{1,64}", re.ASCII)
MAX_LENGTH_DIGITS = 20
REQUESTED_PATH = "rollcall.requested_path"
"""The key of a scope with a normalized path: the path as the client sent it."""

_DEFAULTS: dict[bytes, Any] = {
    b"authorization": b"",
    b"content-type": b"",
    b"accept": b"",
    b"cookie": b"",
    b"x-forwarded-for": b"",
    b"x-request-id": None,
    b"content-length": b"",
}
"""The headers that every request is read for, and their values if they are missing."""
_known_values = itemgetter(*_DEFAULTS)  # reads all at once, which costs a third of as many look-ups

_process_id, _request_numbers = token_hex(8), count()


def requested_path(scope: Scope) -> str:
    """Return the path of a request as the client sent it, for messages."""
    path: str = scope.get(REQUESTED_PATH) or scope["path"]
    return path


class RequestHead:
    """The headers of a request that have a meaning here, unparsed.

    `authorization` has one line per occurrence of the header. `has_credentials` says whether the response may be
    specific to a caller. `request_id` is what the client sent as such, None if nothing. `length` is the declared length
    of the body, -1 if unknown.
    """

    __slots__ = (
        "_headers",
        "_id",
        "accept",
        "authorization",
        "content_type",
        "cookie",
        "forwarded_for",
        "has_credentials",
        "length",
        "peer",
        "query",
        "request_id",
    )

    authorization: bytes
    content_type: bytes
    accept: bytes
    cookie: bytes
    forwarded_for: bytes
    request_id: bytes | None

    def __init__(self, scope: Scope) -> None:
        self._headers = headers = scope["headers"]
        values = dict(headers)
        if len(values) < len(headers):
            values = _merged(headers)
        self.authorization, self.content_type, self.accept, self.cookie, self.forwarded_for, self.request_id, length = (
            _known_values(_DEFAULTS | values)
        )
        self.length = _parse_length(length[:MAX_LENGTH_DIGITS]) if length else -1
        self._id = ""
        self.query: bytes = scope.get("query_string", b"")
        client = scope.get("client")
        self.peer: str | None = client[0] if client else None
        self.has_credentials = bool(self.authorization or self.cookie or (self.query and b"access_token" in self.query))

    @property
    def origin(self) -> bytes | None:
        """The Origin header, if any."""
        return next((value for name, value in self._headers if name == b"origin"), None)

    @property
    def is_preflight(self) -> bool:
        """Whether this is a CORS preflight, if the method is OPTIONS."""
        return any(name == b"access-control-request-method" for name, _ in self._headers)

    @property
    def has_no_body(self) -> bool:
        """Whether the head says that no body follows."""
        return self.length == 0 or (self.length < 0 and not self.header(b"transfer-encoding"))

    @property
    def id(self) -> str:
        """The client's request id if it is valid, else a new unique one."""
        if not self._id:
            sent = self.request_id
            is_valid = sent is not None and VALID_REQUEST_ID.fullmatch(sent)
            self._id = sent.decode() if sent and is_valid else f"{_process_id}{next(_request_numbers):016x}"
        return self._id

    @property
    def multipart(self) -> bool:
        """Whether the body is multipart/form-data."""
        content_type = self.content_type
        return (
            content_type[:5].lower() == b"multi"
            and content_type.partition(b";")[0].strip().lower() == b"multipart/form-data"
        )

    def header(self, name: bytes) -> bytes:
        """Return the last value of a rarely used header, empty if it is missing."""
        values: dict[bytes, bytes] = dict(self._headers)
        return values.get(name, b"")

    def client_info(self) -> ClientInfo:
        """Return the client's user agent, origin and cookies; parsed only when something is written with them."""
        values = dict(self._headers)
        agent, origin = (values.get(name, b"").decode("latin-1") or None for name in (b"user-agent", b"origin"))
        return ClientInfo(agent, origin, cookie_parser(self.cookie.decode("latin-1")) if self.cookie else {})


@lru_cache(maxsize=1024)
def _parse_length(text: bytes) -> int:
    """Return a Content-Length, -1 if it isn't a number; cached, as a client's requests are often of equal length."""
    return int(text) if text.isdigit() else -1


def _merged(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the values of headers of which some occur more than once, joined in order.

    Some proxies append a header of their own to the client's; together they are one list, ending with the nearest hop.
    """
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        values[name] = values[name] + SEPARATORS.get(name, b"; ") + value if name in values else value
    return values
