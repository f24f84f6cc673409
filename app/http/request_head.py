"""What the head of a request says, read once for all who need to know."""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import count
from secrets import token_hex

from starlette.requests import cookie_parser
from starlette.types import Scope

from app.core.caller import ClientInfo

JOINTS = {b"authorization": b"\n", b"x-forwarded-for": b","}
SANE_ID = re.compile(rb"[\w.:-]{1,64}", re.ASCII)

READ_METHODS = ("GET", "HEAD")

_here, _numbers = token_hex(8), count()


class RequestHead:
    """The headers that mean something here, as they came; `authorization` has a line for each time it came.

    `personal` says whether an answer may be somebody's own, `named` whether the request came with an id; `length` is -1
    where the body doesn't say how long it is.
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
        told = dict(headers)
        if len(told) < len(headers):
            told = _merged(headers)
        self.authorization: bytes = told.get(b"authorization", b"")
        self.content_type: bytes = told.get(b"content-type", b"")
        self.accept: bytes = told.get(b"accept", b"")
        self.cookie: bytes = told.get(b"cookie", b"")
        self.forwarded_for: bytes = told.get(b"x-forwarded-for", b"")
        length, given = told.get(b"content-length", b""), told.get(b"x-request-id")
        self.length = _number(length[:20]) if length else -1  # more digits than that say no more
        self.has_request_id = given is not None
        self._id = given.decode() if given and SANE_ID.fullmatch(given) else ""
        self.query: bytes = scope.get("query_string", b"")
        client = scope.get("client")
        self.peer: str | None = client[0] if client else None
        self.has_credentials = bool(self.authorization or self.cookie or (self.query and b"access_token" in self.query))

    @property
    def origin(self) -> bytes | None:
        """The origin of the page that asks, if a browser names one."""
        return next((value for name, value in self._headers if name == b"origin"), None)

    @property
    def is_preflight(self) -> bool:
        """Whether a browser only asks what a page may ask."""
        return any(name == b"access-control-request-method" for name, _ in self._headers)

    @property
    def id(self) -> str:
        """The request's own id where it is sane, else one that no other request has."""
        self._id = self._id or f"{_here}{next(_numbers):016x}"
        return self._id

    @property
    def multipart(self) -> bool:
        """Whether the body is a form that may hold files."""
        kind = self.content_type
        return kind[:5].lower() == b"multi" and kind.partition(b";")[0].strip().lower() == b"multipart/form-data"

    def header(self, name: bytes) -> bytes:
        """What a header says that few ask for; nothing where it isn't there. Of several it is the last."""
        told: dict[bytes, bytes] = dict(self._headers)
        return told.get(name, b"")

    def client_info(self) -> ClientInfo:
        """The program that a request says it comes from; looked for only where something is written down of it."""
        told = dict(self._headers)
        agent, origin = (told.get(name, b"").decode("latin-1") or None for name in (b"user-agent", b"origin"))
        return ClientInfo(agent, origin, cookie_parser(self.cookie.decode("latin-1")) if self.cookie else {})


@lru_cache(maxsize=1024)
def _number(text: bytes) -> int:
    """The number that a text is, -1 for one that is none; most requests of a client are about as long as the last."""
    return int(text) if text.isdigit() else -1


def _merged(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers of which some came more than once.

    Some proxies add a header of their own to a client's: all of them are one list, of which the last is the nearest.
    """
    told: dict[bytes, bytes] = {}
    for name, value in headers:
        told[name] = told[name] + JOINTS.get(name, b"; ") + value if name in told else value
    return told
