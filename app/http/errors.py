"""How an error is spelled over HTTP."""

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.core.errors import MethodNotAllowed, RollcallError, ServiceUnavailable

RETRY_AFTER = "1"


def error_response(error: RollcallError) -> Response:
    """An error as Directus' REST doors spell it; a 405 names what is allowed, a 503 when to come back."""
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.details["allowed"])
    if isinstance(error, ServiceUnavailable):
        headers["Retry-After"] = RETRY_AFTER
    body = orjson.dumps({"errors": [error.as_dict()]})
    return Response(body, error.status, headers, "application/json; charset=utf-8")


def wrong_method(method: str, refusal: HTTPException) -> MethodNotAllowed:
    """What the router says to a method that a route doesn't know, in our spelling."""
    allowed = (refusal.headers or {}).get("Allow", "")
    return MethodNotAllowed(method, sorted(allowed.split(", ")))
