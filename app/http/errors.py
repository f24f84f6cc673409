"""How an error is spelled over HTTP."""

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.core.errors import MethodNotAllowed, RollcallError, ServiceUnavailable

RETRY_AFTER = b"1"


def error_response(error: RollcallError) -> Response:
    """An error as Directus' REST doors spell it."""
    headers = {name.decode(): value.decode() for name, value in error_headers(error)}
    return Response(error_body(error), error.status, headers, "application/json; charset=utf-8")


def error_body(error: RollcallError) -> bytes:
    """What is told of an error, as JSON."""
    return orjson.dumps({"errors": [error.as_dict()]})


def error_headers(error: RollcallError) -> list[tuple[bytes, bytes]]:
    """What a 405 says of the methods that are allowed, and a 503 of when to come back."""
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", ", ".join(error.details["allowed"]).encode())]
    return [(b"retry-after", RETRY_AFTER)] if isinstance(error, ServiceUnavailable) else []


def wrong_method(method: str, refusal: HTTPException) -> MethodNotAllowed:
    """What the router says to a method that a route doesn't know, in our spelling."""
    allowed = (refusal.headers or {}).get("Allow", "")
    return MethodNotAllowed(method, sorted(allowed.split(", ")))
