"""Every error a client can meet, as one tree of data.

    RollcallError                      status  code
    ├── Forbidden                      403     FORBIDDEN
    ├── InvalidQuery                   400     INVALID_QUERY
    ├── InvalidPayload                 400     INVALID_PAYLOAD
    ├── InvalidCredentials             401     INVALID_CREDENTIALS
    ├── InvalidOtp                     401     INVALID_OTP
    ├── InvalidToken                   403     INVALID_TOKEN
    ├── TokenExpired                   401     TOKEN_EXPIRED
    ├── FailedValidation               400     FAILED_VALIDATION
    ├── RecordNotUnique                400     RECORD_NOT_UNIQUE
    ├── InvalidForeignKey              400     INVALID_FOREIGN_KEY
    ├── ValueTooLong                   400     VALUE_TOO_LONG
    ├── ValueOutOfRange                400     VALUE_OUT_OF_RANGE
    ├── UnprocessableContent           422     UNPROCESSABLE_CONTENT
    ├── ContentTooLarge                413     CONTENT_TOO_LARGE
    ├── RangeNotSatisfiable            416     RANGE_NOT_SATISFIABLE
    ├── LimitExceeded                  403     LIMIT_EXCEEDED
    ├── InvalidInvite                  400     INVALID_INVITE
    ├── InvalidProviderConfig          503     INVALID_PROVIDER_CONFIG
    ├── RequestsExceeded               429     REQUESTS_EXCEEDED
    ├── MethodNotAllowed               405     METHOD_NOT_ALLOWED
    ├── RouteNotFound                  404     ROUTE_NOT_FOUND
    ├── GraphQLValidation              400     GRAPHQL_VALIDATION
    ├── ServiceUnavailable             503     SERVICE_UNAVAILABLE
    └── Several                        that of the first of them

Raised deep, caught once at each door (`http/reply.py`, `http/graphql.py`). Codes and messages are Directus'.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from app.core.values import format_timestamp


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

    def entries(self) -> list[dict[str, Any]]:
        """The error as the `errors` list of an answer."""
        return [self.as_dict()]


class Forbidden(RollcallError):
    """The caller may not, or the thing doesn't exist: the two answer alike."""

    status, code, message = 403, "FORBIDDEN", "You don't have permission to access this."

    @property
    def text(self) -> str:
        return f"{self.reason}." if self.reason else self.message


class TwoFactorSetupRequired(Forbidden):
    """The caller has to set up a second factor before it may do anything else."""

    def __init__(self) -> None:
        super().__init__(
            "Two-factor authentication has to be set up before anything else: begin with users_me_tfa_generate, or "
            "POST /users/me/tfa/generate"
        )


class InvalidQuery(RollcallError):
    """The question can't be asked like that."""

    status, code, message = 400, "INVALID_QUERY", "Invalid query."


class InvalidPayload(RollcallError):
    """The request's body or its headers can't be read."""

    status, code, message = 400, "INVALID_PAYLOAD", "Invalid payload."


class InvalidCredentials(RollcallError):
    """No active user stands behind what was shown."""

    status, code, message = 401, "INVALID_CREDENTIALS", "Invalid user credentials."


class InvalidOtp(RollcallError):
    """The password is right, and the code of the second factor isn't, or isn't there."""

    status, code, message = 401, "INVALID_OTP", "Invalid user OTP."


class InvalidToken(RollcallError):
    """A signed token that isn't ours, or isn't one."""

    status, code, message = 403, "INVALID_TOKEN", "Invalid token."


class TokenExpired(RollcallError):
    """A signed token of ours whose time is over."""

    status, code, message = 401, "TOKEN_EXPIRED", "Token expired."


REASONS = {
    "required": "Value is required",
    "nnull": "Value can't be null",
    "nempty": "Value can't be empty",
    "email": "Value has to be a valid email address",
    "regex": "Value doesn't have the correct format",
}


class FailedValidation(RollcallError):
    """A value that isn't what its field wants, by the field itself or by a permission's validation.

    `type` names what it failed, such as `required` or `nempty`; `path` leads to the row through nested ones.
    """

    status, code, message = 400, "FAILED_VALIDATION", "Validation failed."

    def __init__(self, field: str, type_: str, path: Sequence[str] = (), **more: Any) -> None:
        super().__init__(None, field=field, path=list(path), type=type_, **more)

    @property
    def text(self) -> str:
        path, reason = self.details["path"], REASONS.get(self.details["type"])
        at = f' at "{".".join(path)}"' if path else ""
        return f'Validation failed for field "{self.details["field"]}"{at}.' + (f" {reason}." if reason else "")


class _BadValue(RollcallError):
    """A value that a field of a collection can't take; of a secret the value isn't told."""

    status = 400
    words: ClassVar[str]

    def __init__(self, collection: str, field: str, value: Any = None) -> None:
        told = {} if value is None else {"value": str(value)}
        super().__init__(None, collection=collection, field=field, **told)

    @property
    def text(self) -> str:
        return self.words.format(value=self.details.get("value", ""), **{k: self.details[k] for k in _PLACE})


_PLACE = ("collection", "field")


class RecordNotUnique(_BadValue):
    """A value that another row has already, where no two may have the same."""

    code = "RECORD_NOT_UNIQUE"
    words = 'Value "{value}" for field "{field}" in collection "{collection}" has to be unique.'


class InvalidForeignKey(_BadValue):
    """A key that leads to no row, or that rows still lead to which is to go."""

    code = "INVALID_FOREIGN_KEY"
    words = 'Invalid foreign key "{value}" for field "{field}" in collection "{collection}".'


class ValueTooLong(_BadValue):
    """A text that is longer than its field."""

    code = "VALUE_TOO_LONG"
    words = 'Value "{value}" for field "{field}" in collection "{collection}" is too long.'


class ValueOutOfRange(_BadValue):
    """A number that is larger than its field."""

    code = "VALUE_OUT_OF_RANGE"
    words = 'Value "{value}" for field "{field}" in collection "{collection}" is out of range.'


class UnprocessableContent(RollcallError):
    """What is asked for can be understood, but must not come to pass."""

    status, code, message = 422, "UNPROCESSABLE_CONTENT", "Can't process content."


class ContentTooLarge(RollcallError):
    """A file with more bytes than one may have."""

    status, code, message = 413, "CONTENT_TOO_LARGE", "Uploaded content is too large."


class RangeNotSatisfiable(RollcallError):
    """A part of a file that it doesn't have; `size` is how many bytes it has."""

    status, code, message = 416, "RANGE_NOT_SATISFIABLE", "Range not satisfiable."

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__()


class LimitExceeded(RollcallError):
    """More users of a kind than the settings allow."""

    status, code, message = 403, "LIMIT_EXCEEDED", "Limit exceeded."

    def __init__(self, category: str) -> None:
        super().__init__(None, category=category)

    @property
    def text(self) -> str:
        return f"{self.details['category']} limit exceeded."


class InvalidInvite(RollcallError):
    """An invitation that was accepted already, revoked, or that nobody has."""

    status, code, message = 400, "INVALID_INVITE", "This invite is no longer valid."


class InvalidProviderConfig(RollcallError):
    """Nobody signs in this way here."""

    status, code, message = 503, "INVALID_PROVIDER_CONFIG", "Invalid config."

    def __init__(self, provider: str) -> None:
        super().__init__(None, provider=provider)


class RequestsExceeded(RollcallError):
    """More requests than are allowed in a time; `reset` is when there may be another, `limit` how many are allowed."""

    status, code = 429, "REQUESTS_EXCEEDED"

    def __init__(self, limit: int, reset: datetime, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(None, limit=limit, reset=format_timestamp(reset))

    @property
    def text(self) -> str:
        return f"Too many requests, retry after {self.seconds}s."


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


class MultipleErrors(RollcallError):
    """Everything that is wrong with a payload, told at once; there is at least one error."""

    def __init__(self, errors: Sequence[RollcallError]) -> None:
        self.errors = errors
        self.status, self.code = errors[0].status, errors[0].code  # type: ignore[misc]  # this one's own
        super().__init__()

    @property
    def text(self) -> str:
        return " ".join(error.text for error in self.errors)

    def entries(self) -> list[dict[str, Any]]:
        return [error.as_dict() for error in self.errors]
