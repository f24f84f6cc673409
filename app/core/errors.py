"""Every error a client can meet, as one tree of data.

    RollcallError                      status  code
    ├── Forbidden                      403     FORBIDDEN
    ├── InvalidQuery                   400     INVALID_QUERY
    ├── InvalidPayload                 400     INVALID_PAYLOAD
    ├── InvalidCredentials             401     INVALID_CREDENTIALS
    ├── InvalidToken                   403     INVALID_TOKEN
    ├── TokenExpired                   401     TOKEN_EXPIRED
    ├── MethodNotAllowed               405     METHOD_NOT_ALLOWED
    ├── RouteNotFound                  404     ROUTE_NOT_FOUND
    ├── GraphQLValidation              400     GRAPHQL_VALIDATION
    └── ServiceUnavailable             503     SERVICE_UNAVAILABLE

Raised deep, caught once at each door (`http/errors.py`, `schema/errors.py`). Codes and messages are Directus'.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class RollcallError(Exception):
    """An answer that is an error: what a client may know about it, and nothing else.

    `reason` says what was wrong and what would be right; it is shown to the client, so it never holds a
    secret or a database's words.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    message: ClassVar[str] = "An unexpected error occurred."

    def __init__(self, reason: str | None = None, **extensions: Any) -> None:
        self.reason = reason
        self.details: Mapping[str, Any] = extensions
        super().__init__(self.text)

    @property
    def text(self) -> str:
        """The sentence shown to the client."""
        return f"{self.message} {self.reason}." if self.reason else self.message

    @property
    def extensions(self) -> dict[str, Any]:
        """The machine-readable part: always a `code`, a `reason` where there is one."""
        reason = {"reason": self.reason} if self.reason else {}
        return {**reason, **self.details, "code": self.code}

    def as_dict(self) -> dict[str, Any]:
        """The error as one entry of an answer's `errors` list."""
        return {"message": self.text, "extensions": self.extensions}


class Forbidden(RollcallError):
    """The caller may not, or the thing doesn't exist: the two answer alike."""

    status, code, message = 403, "FORBIDDEN", "You don't have permission to access this."

    @property
    def text(self) -> str:
        return f"{self.reason}." if self.reason else self.message


class InvalidQuery(RollcallError):
    """The question can't be asked like that."""

    status, code, message = 400, "INVALID_QUERY", "Invalid query."


class InvalidPayload(RollcallError):
    """The request's body or its headers can't be read."""

    status, code, message = 400, "INVALID_PAYLOAD", "Invalid payload."


class InvalidCredentials(RollcallError):
    """No active user stands behind what was shown."""

    status, code, message = 401, "INVALID_CREDENTIALS", "Invalid user credentials."


class InvalidToken(RollcallError):
    """A signed token that isn't ours, or isn't one."""

    status, code, message = 403, "INVALID_TOKEN", "Invalid token."


class TokenExpired(RollcallError):
    """A signed token of ours whose time is over."""

    status, code, message = 401, "TOKEN_EXPIRED", "Token expired."


class RouteNotFound(RollcallError):
    """Nobody lives at this path."""

    status, code, message = 404, "ROUTE_NOT_FOUND", "Route not found."

    def __init__(self, path: str) -> None:
        super().__init__(None, path=path)

    @property
    def text(self) -> str:
        return f"Route {self.details['path']} doesn't exist."


class MethodNotAllowed(RollcallError):
    """This path is not asked with this HTTP method."""

    status, code, message = 405, "METHOD_NOT_ALLOWED", "Invalid method."

    def __init__(self, current: str, allowed: Sequence[str]) -> None:
        super().__init__(None, allowed=list(allowed), current=current)

    @property
    def text(self) -> str:
        allowed = ", ".join(f'"{method}"' for method in self.details["allowed"])
        return f'Invalid method "{self.details["current"]}" used. Should be one of {allowed}.'


class GraphQLValidation(RollcallError):
    """A document that can't be parsed, isn't valid, or asks for what this caller has no schema for."""

    status, code, message = 400, "GRAPHQL_VALIDATION", "GraphQL validation error."

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(None, errors=[dict(error) for error in errors])


class ServiceUnavailable(RollcallError):
    """The database is away, or too busy: trying again later is right."""

    status, code, message = 503, "SERVICE_UNAVAILABLE", "Service unavailable."
