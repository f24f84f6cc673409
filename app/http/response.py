"""What a door answers with, and how an error is spelled over HTTP."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import orjson

from app.core.errors import (
    MethodNotAllowed,
    RangeNotSatisfiable,
    RequestsExceeded,
    RollcallError,
    ServiceUnavailable,
)

JSON = b"application/json; charset=utf-8"
RETRY_AFTER = b"1"
VARIES = b"Authorization, Cookie"
"""What an answer depends on, besides the path."""

Header = tuple[bytes, bytes]

DEFAULT_CSP: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""There are no pages here: whatever a browser takes for one runs nothing, loads nothing, and stands in no frame."""


@dataclass(slots=True, eq=False)
class Response:
    """An answer: its body, and what is said of it; the gate adds the headers that every answer has."""

    body: bytes
    status: int = 200
    media: bytes = JSON
    """The body's type; empty where there is nothing that could have one."""
    headers: Sequence[Header] = ()
    varies: bytes = VARIES
    no_store: bool = False
    """Whether it is for one pair of eyes, whoever asked: such as a token."""
    stream: AsyncIterator[bytes] | None = None
    """The body piece by piece, in the stead of `body`: an async generator, which is closed whatever happens.

    How long it is stands among `more`, where that is known.
    """
    max_age: int = 0
    """Seconds for which anybody may keep it who asked as nobody in particular."""
    policy: Header = DEFAULT_CSP
    """What a browser may do with it."""
    error: RollcallError | None = None
    """The error that it tells, if it tells one."""


def error_response(error: RollcallError, media: bytes = JSON) -> Response:
    """An error as Directus' REST doors spell it.

    A 405 names what is allowed, a 416 how much there is, a 429 and a 503 when to come back.
    """
    more: list[Header] = []
    if isinstance(error, MethodNotAllowed):
        more.append((b"allow", ", ".join(error.details["allowed"]).encode()))
    if isinstance(error, ServiceUnavailable):
        more.append((b"retry-after", RETRY_AFTER))
    if isinstance(error, RequestsExceeded):
        more.append((b"retry-after", b"%d" % error.seconds))
    if isinstance(error, RangeNotSatisfiable):
        more.append((b"content-range", b"bytes */%d" % error.size))
    return Response(orjson.dumps({"errors": error.entries()}), error.status, media, more, error=error)
