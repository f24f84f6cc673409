"""What the head of a request says, read once for all who need to know."""

import re
from itertools import count
from secrets import token_hex

from starlette.types import Scope

SANE_ID = re.compile(rb"[\w.:-]{1,64}", re.ASCII)

_here, _numbers = token_hex(8), count()


class Head:
    """The headers that mean something here, as they came; one that came twice has a line for each.

    `id` is the request's own where it is sane, else one that no other request has; `length` is -1 where the body
    doesn't say how long it is.
    """

    __slots__ = ("accept", "authorization", "content_type", "cookie", "forwarded", "id", "length", "peer", "query")

    def __init__(self, scope: Scope) -> None:
        self.accept = self.authorization = self.content_type = self.cookie = self.forwarded = given = b""
        self.length = -1
        for name, value in scope["headers"]:
            if name == b"authorization":
                self.authorization = self.authorization + b"\n" + value if self.authorization else value
            elif name == b"content-type":
                self.content_type = value
            elif name == b"content-length":
                self.length = int(value[:20]) if value.isdigit() else -1  # more digits than that say no more
            elif name == b"accept":
                self.accept = value
            elif name == b"cookie":
                self.cookie = self.cookie or value
            elif name == b"x-forwarded-for":
                # Some proxies add a header of their own to a client's: all of them are one list, the last the nearest.
                self.forwarded = self.forwarded + b"," + value if self.forwarded else value
            elif name == b"x-request-id":
                given = value
        self.id = given.decode() if given and SANE_ID.fullmatch(given) else f"{_here}{next(_numbers):016x}"
        self.query: bytes = scope.get("query_string", b"")
        self.peer: str | None = scope["client"][0] if scope.get("client") else None

    @property
    def personal(self) -> bool:
        """Whether an answer may be somebody's own."""
        return bool(self.authorization or self.cookie or (self.query and b"access_token" in self.query))
