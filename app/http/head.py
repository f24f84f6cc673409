"""What the head of a request says, read once for all who need to know."""

import re
from collections.abc import Iterable
from itertools import count
from secrets import token_hex

from starlette.types import Scope

JOINTS = {b"authorization": b"\n", b"x-forwarded-for": b","}
SANE_ID = re.compile(rb"[\w.:-]{1,64}", re.ASCII)

_here, _numbers = token_hex(8), count()


class Head:
    """The headers that mean something here, as they came; `authorization` has a line for each time it came.

    `personal` says whether an answer may be somebody's own. `id` is the request's own where it is sane, else one that
    no other request has; `length` is -1 where the body doesn't say how long it is.
    """

    __slots__ = (
        "accept",
        "authorization",
        "content_type",
        "cookie",
        "forwarded",
        "id",
        "length",
        "peer",
        "personal",
        "query",
    )

    def __init__(self, scope: Scope) -> None:
        headers = scope["headers"]
        told = dict(headers)
        if len(told) < len(headers):
            told = _merged(headers)
        self.authorization: bytes = told.get(b"authorization", b"")
        self.content_type: bytes = told.get(b"content-type", b"")
        self.accept: bytes = told.get(b"accept", b"")
        self.cookie: bytes = told.get(b"cookie", b"")
        self.forwarded: bytes = told.get(b"x-forwarded-for", b"")
        length, id_ = told.get(b"content-length", b""), told.get(b"x-request-id")
        self.length = int(length[:20]) if length.isdigit() else -1  # more digits than that say no more
        self.id = id_.decode() if id_ and SANE_ID.fullmatch(id_) else f"{_here}{next(_numbers):016x}"
        self.query: bytes = scope.get("query_string", b"")
        self.peer: str | None = scope["client"][0] if scope.get("client") else None
        self.personal = bool(self.authorization or self.cookie or (self.query and b"access_token" in self.query))


def _merged(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers of which some came more than once.

    Some proxies add a header of their own to a client's: all of them are one list, of which the last is the nearest.
    """
    told: dict[bytes, bytes] = {}
    for name, value in headers:
        told[name] = told[name] + JOINTS.get(name, b"; ") + value if name in told else value
    return told
