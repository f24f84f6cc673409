"""What an endpoint returns, and how errors become one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.errors import (
    MethodNotAllowed,
    RangeNotSatisfiable,
    RequestsExceeded,
    RollcallError,
    ServiceUnavailable,
)

JSON, PLAIN_TEXT, HTML = (
    b"application/json; charset=utf-8",
    b"text/plain; charset=utf-8",
    b"text/html; charset=utf-8",
)
UNAVAILABLE_RETRY_SECONDS = b"1"
VARIES = b"Authorization, Cookie"
"""What responses depend on besides the path."""

Header = tuple[bytes, bytes]

DEFAULT_CSP: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""There are no pages here: what a browser takes for one can run and load nothing, and can't be framed."""


@dataclass(slots=True, eq=False)
class Response:
    """A body and its metadata; the exchange adds the headers common to all responses."""

    body: bytes
    status: int = 200
    media: bytes = JSON
    """The Content-Type; empty for none."""
    headers: Sequence[Header] = ()
    varies: bytes = VARIES
    no_store: bool = False
    """Whether no cache may store it, even if the request had no credentials; for example a token."""
    stream: AsyncIterator[bytes] | None = None
    """The body in chunks, instead of `body`: an async generator, closed in any case.

    Its length, if known, is among the `headers`.
    """
    is_endless: bool = False
    """Whether the stream goes on until the client leaves: the request then counts as ended when the response starts."""
    max_age: int = 0
    """Seconds for which shared caches may store it, unless the request had credentials."""
    same_for_everyone: bool = False
    """Whether it depends on the path alone, so that `max_age` also applies to requests with credentials."""
    policy: Header = DEFAULT_CSP
    """What a browser may do with it."""
    error: RollcallError | None = None
    """The error that it reports, if any."""


NO_CONTENT, EMPTY_OK = Response(b"", 204), Response(b"", media=b"")


def data_response(data: Mapping[str, Any] | Sequence[Any] | bool) -> Response:
    """Return data in REST's envelope."""
    return Response(orjson.dumps({"data": data}))


def error_response(error: RollcallError, media: bytes = JSON) -> Response:
    """Return an error in Directus' REST format, with the headers that belong to it."""
    return Response(orjson.dumps({"errors": error.entries()}), error.status, media, error_headers(error), error=error)


def error_headers(error: RollcallError) -> list[Header]:
    """Return `Allow`, `Retry-After` or `Content-Range` if the error has them."""
    headers: list[Header] = []
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.details["allowed"]).encode()))
    if isinstance(error, ServiceUnavailable) and error.may_retry:
        headers.append((b"retry-after", UNAVAILABLE_RETRY_SECONDS))
    if isinstance(error, RequestsExceeded):
        headers.append((b"retry-after", b"%d" % error.seconds))
    if isinstance(error, RangeNotSatisfiable):
        headers.append((b"content-range", b"bytes */%d" % error.size))
    return headers
