"""The parts of a request's head that the server uses, read once."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import count
from secrets import token_hex

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

_process_id, _request_numbers = token_hex(8), count()


def requested_path(scope: Scope) -> str:
    """Return the path of a request as the client sent it, for messages."""
    path: str = scope.get(REQUESTED_PATH) or scope["path"]
    return path


class RequestHead:
    """The headers of a request that have a meaning here, unparsed.

    `authorization` has one line per occurrence of the header. `has_credentials` says whether the response may be
    specific to a caller, `has_request_id` whether the client sent an id. `length` is the declared length of the body,
    -1 if unknown.
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
        "has_request_id",
        "length",
        "peer",
        "query",
    )

    def __init__(self, scope: Scope) -> None:
        self._headers = headers = scope["headers"]
        values = dict(headers)
        if len(values) < len(headers):
            values = _merged(headers)
        self.authorization: bytes = values.get(b"authorization", b"")
        self.content_type: bytes = values.get(b"content-type", b"")
        self.accept: bytes = values.get(b"accept", b"")
        self.cookie: bytes = values.get(b"cookie", b"")
        self.forwarded_for: bytes = values.get(b"x-forwarded-for", b"")
        length, request_id = values.get(b"content-length", b""), values.get(b"x-request-id")
        self.length = _parse_length(length[:MAX_LENGTH_DIGITS]) if length else -1
        self.has_request_id = request_id is not None
        self._id = request_id.decode() if request_id and VALID_REQUEST_ID.fullmatch(request_id) else ""
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
        self._id = self._id or f"{_process_id}{next(_request_numbers):016x}"
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
