"""The errors a client can receive, as one class tree, and the error for the operator of the server.

    RollcallError                      status  code
    ├── Forbidden                      403     FORBIDDEN
    │   ├── TwoFactorSetupRequired     403     FORBIDDEN
    │   ├── ReadOnlyToken              403     FORBIDDEN
    │   └── APITokenRefused            403     FORBIDDEN
    ├── InvalidQuery                   400     INVALID_QUERY
    ├── InvalidPayload                 400     INVALID_PAYLOAD
    ├── InvalidCredentials             401     INVALID_CREDENTIALS
    │   └── APITokenExpired            401     TOKEN_EXPIRED
    ├── InvalidOtp                     401     INVALID_OTP
    ├── InvalidToken                   403     INVALID_TOKEN
    ├── TokenExpired                   401     TOKEN_EXPIRED
    ├── FailedValidation               400     FAILED_VALIDATION
    ├── RecordNotUnique                400     RECORD_NOT_UNIQUE
    ├── InvalidForeignKey              400     INVALID_FOREIGN_KEY
    │   └── UserReferenced             400     INVALID_FOREIGN_KEY
    ├── ValueTooLong                   400     VALUE_TOO_LONG
    ├── ValueOutOfRange                400     VALUE_OUT_OF_RANGE
    ├── ContainsNullValues             400     CONTAINS_NULL_VALUES
    ├── UnprocessableContent           422     UNPROCESSABLE_CONTENT
    ├── ContentTooLarge                413     CONTENT_TOO_LARGE
    ├── RangeNotSatisfiable            416     RANGE_NOT_SATISFIABLE
    ├── LimitExceeded                  403     LIMIT_EXCEEDED
    ├── InvalidInvite                  400     INVALID_INVITE
    ├── InvalidProvider                403     INVALID_PROVIDER
    ├── AccountLinkRequired            403     ACCOUNT_LINK_REQUIRED
    ├── InvalidProviderConfig          503     INVALID_PROVIDER_CONFIG
    ├── UserSuspended                  401     USER_SUSPENDED
    ├── RequestsExceeded               429     REQUESTS_EXCEEDED
    ├── MethodNotAllowed               405     METHOD_NOT_ALLOWED
    ├── RouteNotFound                  404     ROUTE_NOT_FOUND
    ├── GraphQLValidation              400     GRAPHQL_VALIDATION
    ├── ServiceUnavailable             503     SERVICE_UNAVAILABLE
    ├── MultipleErrors                 those of its first error
    └── ChangeRejected                 those of its error

They are raised at any depth and turned into a response in one place per API: `http/response.py` for REST,
`http/endpoints/graphql.py` for GraphQL. Codes and messages are those of Directus.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from app.core.timestamps import format_timestamp


class RollcallError(Exception):
    """An error response: what the client may know about the error, and nothing else.

    `reason` says what is wrong and what to do. It is sent to the client, so it must never contain a secret or the text
    of a database error.
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
        """The message sent to the client."""
        return f"{self.message} {self.reason}." if self.reason else self.message

    @property
    def extensions(self) -> dict[str, Any]:
        """The machine-readable part: always a `code`, and a `reason` if there is one."""
        reason = {"reason": self.reason} if self.reason else {}
        return {**reason, **self.details, "code": self.code}

    def as_dict(self) -> dict[str, Any]:
        """Return the error as one entry of the response's `errors` list."""
        return {"message": self.text, "extensions": self.extensions}

    def entries(self) -> list[dict[str, Any]]:
        """Return the response's `errors` list."""
        return [self.as_dict()]


class Forbidden(RollcallError):
    """The caller lacks the permission, or the row does not exist: both get the same response."""

    status, code, message = 403, "FORBIDDEN", "You don't have permission to access this."

    @property
    def text(self) -> str:
        return f"{self.reason}." if self.reason else self.message


class TwoFactorSetupRequired(Forbidden):
    """The caller must set up two-factor authentication before any other request."""

    def __init__(self) -> None:
        super().__init__(
            "Two-factor authentication has to be set up before anything else: begin with users_me_tfa_generate, or "
            "POST /users/me/tfa/generate"
        )


class ReadOnlyToken(Forbidden):
    """The caller uses a read-only API token for a request that writes."""

    def __init__(self) -> None:
        super().__init__("This API token is read-only")


class APITokenRefused(Forbidden):
    """The caller uses an API token for something that takes a session or a static token."""

    def __init__(self) -> None:
        super().__init__("This is not possible with an API token: sign in instead")


class InvalidQuery(RollcallError):
    """The query parameters are invalid."""

    status, code, message = 400, "INVALID_QUERY", "Invalid query."


class InvalidPayload(RollcallError):
    """The request's body or headers are invalid."""

    status, code, message = 400, "INVALID_PAYLOAD", "Invalid payload."


class InvalidCredentials(RollcallError):
    """The credentials do not belong to an active user."""

    status, code, message = 401, "INVALID_CREDENTIALS", "Invalid user credentials."


class APITokenExpired(InvalidCredentials):
    """The API token has expired; the response is that of an expired access token."""

    code, message = "TOKEN_EXPIRED", "Token expired."


class InvalidOtp(RollcallError):
    """The password is correct, but the one-time password is wrong or missing."""

    status, code, message = 401, "INVALID_OTP", "Invalid user OTP."


class InvalidToken(RollcallError):
    """The token is malformed, or not signed with this server's secret."""

    status, code, message = 403, "INVALID_TOKEN", "Invalid token."


class TokenExpired(RollcallError):
    """The token is signed correctly, but has expired."""

    status, code, message = 401, "TOKEN_EXPIRED", "Token expired."


VALIDATION_REASONS = {
    "required": "Value is required",
    "nnull": "Value can't be null",
    "nempty": "Value can't be empty",
    "email": "Value has to be a valid email address",
    "regex": "Value doesn't have the correct format",
    "min_length": "Value has to have at least {valid} characters",
    "history": "Value has to differ from your last {valid} passwords, the current one included",
    "common": "Value is one of the most common passwords; choose one that is harder to guess",
}


class FailedValidation(RollcallError):
    """A value fails its field's own validation, or that of a permission.

    `type_` names the failed rule, such as `required` or `nempty`. `path` leads from the payload's root to a nested row.
    """

    status, code, message = 400, "FAILED_VALIDATION", "Validation failed."

    def __init__(self, field: str, type_: str, path: Sequence[str] = (), **extensions: Any) -> None:
        super().__init__(None, field=field, path=list(path), type=type_, **extensions)

    @property
    def text(self) -> str:
        path, reason = self.details["path"], VALIDATION_REASONS.get(self.details["type"], "").format_map(self.details)
        location = f' at "{".".join(path)}"' if path else ""
        return f'Validation failed for field "{self.details["field"]}"{location}.' + (f" {reason}." if reason else "")


class _InvalidValue(RollcallError):
    """A collection's field does not accept a value. `value` must be None for a secret, so that it is not repeated."""

    status = 400
    template: ClassVar[str]

    def __init__(self, collection: str, field: str, value: Any = None, **extensions: Any) -> None:
        text = {} if value is None else {"value": str(value)}
        super().__init__(None, collection=collection, field=field, **text, **extensions)

    @property
    def text(self) -> str:
        details = self.details
        return self.template.format(
            value=details.get("value", ""), collection=details["collection"], field=details["field"]
        )


class RecordNotUnique(_InvalidValue):
    """Another row already has this value of a unique field."""

    code = "RECORD_NOT_UNIQUE"
    template = 'Value "{value}" for field "{field}" in collection "{collection}" has to be unique.'


class InvalidForeignKey(_InvalidValue):
    """A foreign key refers to no row, or a row to be deleted is still referenced."""

    code = "INVALID_FOREIGN_KEY"
    template = 'Invalid foreign key "{value}" for field "{field}" in collection "{collection}".'


class UserReferenced(InvalidForeignKey):
    """Users cannot be deleted, because rows refer to them; for admins only, as it names tables.

    `references` are the table, the column and the number of rows of each foreign key, at least one; `value` is the key
    of the user if there is only one.
    """

    def __init__(self, references: Sequence[tuple[str, str, int]], value: str | None = None) -> None:
        table, column, _ = references[0]
        listed = [dict(zip(("table", "column", "count"), one, strict=True)) for one in references]
        super().__init__(table, column, value, references=listed)

    @property
    def text(self) -> str:
        parts = (f'"{one["table"]}"."{one["column"]}" ({one["count"]})' for one in self.details["references"])
        return (
            f"Rows still refer to what would be deleted, by table, column and number of rows: {', '.join(parts)}. "
            'Move them to another user with "reassign_to", or change them first.'
        )


class ValueTooLong(_InvalidValue):
    """A text is longer than its column allows."""

    code = "VALUE_TOO_LONG"
    template = 'Value "{value}" for field "{field}" in collection "{collection}" is too long.'


class ValueOutOfRange(_InvalidValue):
    """A number is outside its column's range."""

    code = "VALUE_OUT_OF_RANGE"
    template = 'Value "{value}" for field "{field}" in collection "{collection}" is out of range.'


class ContainsNullValues(RollcallError):
    """A field cannot become one that is not nullable, because rows have no value for it."""

    status, code = 400, "CONTAINS_NULL_VALUES"

    def __init__(self, collection: str, field: str) -> None:
        super().__init__(None, collection=collection, field=field)

    @property
    def text(self) -> str:
        return f'Field "{self.details["field"]}" in collection "{self.details["collection"]}" contains null values.'


class UnprocessableContent(RollcallError):
    """The request is well-formed, but a business rule forbids it."""

    status, code, message = 422, "UNPROCESSABLE_CONTENT", "Can't process content."


class ContentTooLarge(RollcallError):
    """The uploaded file is larger than allowed."""

    status, code, message = 413, "CONTENT_TOO_LARGE", "Uploaded content is too large."


class RangeNotSatisfiable(RollcallError):
    """The requested range lies outside the file; `size` is the file's size in bytes."""

    status, code, message = 416, "RANGE_NOT_SATISFIABLE", "Range not satisfiable."

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__()


class LimitExceeded(RollcallError):
    """There would be more of a category, such as active users, than the settings allow."""

    status, code, message = 403, "LIMIT_EXCEEDED", "Limit exceeded."

    def __init__(self, category: str, reason: str | None = None) -> None:
        super().__init__(reason, category=category)

    @property
    def text(self) -> str:
        text = f"{self.details['category']} limit exceeded."
        return f"{text} {self.reason}." if self.reason else text


class InvalidInvite(RollcallError):
    """The invitation was accepted or revoked, or does not exist."""

    status, code, message = 400, "INVALID_INVITE", "This invite is no longer valid."


class InvalidProvider(RollcallError):
    """The user does not belong to the authentication provider that was used."""

    status, code, message = 403, "INVALID_PROVIDER", "Invalid provider."


class AccountLinkRequired(RollcallError):
    """The identity belongs to no user yet; it is linked to the account with its email address by the password."""

    status, code = 403, "ACCOUNT_LINK_REQUIRED"
    message = "An account with this email address exists; its password links it to the provider."

    def __init__(self, provider: str) -> None:
        super().__init__(f'Send it to "POST /auth/login/{provider}/link"', provider=provider)


class UserSuspended(RollcallError):
    """The user has proven its identity with an authentication provider, but is suspended."""

    status, code, message = 401, "USER_SUSPENDED", "User suspended."


class InvalidProviderConfig(RollcallError):
    """The authentication provider is not available."""

    status, code, message = 503, "INVALID_PROVIDER_CONFIG", "Invalid config."

    def __init__(self, provider: str) -> None:
        super().__init__(None, provider=provider)


class RequestsExceeded(RollcallError):
    """The rate limit is exceeded.

    `limit` is the number of requests allowed, `reset` the time of the next permitted one, and `seconds` the wait until
    then.
    """

    status, code = 429, "REQUESTS_EXCEEDED"

    def __init__(self, limit: int, reset: datetime, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(None, limit=limit, reset=format_timestamp(reset))

    @property
    def text(self) -> str:
        return f"Too many requests, retry after {self.seconds}s."


class RouteNotFound(RollcallError):
    """No route matches the path."""

    status, code, message = 404, "ROUTE_NOT_FOUND", "Route not found."

    def __init__(self, path: str) -> None:
        super().__init__(None, path=path)

    @property
    def text(self) -> str:
        return f"Route {self.details['path']} doesn't exist."


class MethodNotAllowed(RollcallError):
    """The path does not support this HTTP method."""

    status, code, message = 405, "METHOD_NOT_ALLOWED", "Invalid method."

    def __init__(self, current: str, allowed: Sequence[str]) -> None:
        super().__init__(None, allowed=list(allowed), current=current)

    @property
    def text(self) -> str:
        allowed = ", ".join(f'"{method}"' for method in self.details["allowed"])
        return f'Invalid method "{self.details["current"]}" used. Should be one of {allowed}.'


class GraphQLValidation(RollcallError):
    """The document cannot be parsed, is invalid, or uses something that is not in the caller's schema."""

    status, code, message = 400, "GRAPHQL_VALIDATION", "GraphQL validation error."

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(None, errors=[dict(error) for error in errors])


class ServiceUnavailable(RollcallError):
    """The database or another service is unavailable or too busy; the client should try again later."""

    status, code, message = 503, "SERVICE_UNAVAILABLE", "Service unavailable."
    may_retry: ClassVar[bool] = True
    """Whether the client can repeat the request as it is."""


class SchemaChanged(Exception):
    """The collections or their fields have changed since the request was parsed: it must be parsed again."""


SCHEMA_CHANGED = "The fields of the directory have just changed; try again"
"""What a client reads if its request can't be parsed again."""


class MultipleErrors(RollcallError):
    """All errors of one payload; `errors` must not be empty. Status and code are those of the first error."""

    def __init__(self, errors: Sequence[RollcallError]) -> None:
        self.errors = errors
        self.status, self.code = errors[0].status, errors[0].code  # type: ignore[misc]  # set per instance
        super().__init__()

    @property
    def text(self) -> str:
        return " ".join(error.text for error in self.errors)

    def entries(self) -> list[dict[str, Any]]:
        return [error.as_dict() for error in self.errors]


class ChangeRejected(RollcallError):
    """One of several changes fails; status, code and extensions are those of its error, with the index of the change.

    `subject` says what the change does, for example `update of directus_roles`.
    """

    def __init__(self, index: int, subject: str, error: RollcallError) -> None:
        self.status, self.code = error.status, error.code  # type: ignore[misc]  # set per instance
        self._prefix, self.error = f"Change {index} ({subject})", error
        super().__init__(error.reason, **{**error.details, "change": index})

    @property
    def text(self) -> str:
        return f"{self._prefix}: {self.error.text}"


class OperatorError(Exception):
    """A message for the operator of the server: what is wrong, then what to do.

    It must never contain a secret or the text of a database error.
    """
