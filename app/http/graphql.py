"""The door for GraphQL: a request's body -> a query, and its result -> an answer as Directus spells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import orjson
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from app.core.errors import (
    GraphQLValidation,
    InvalidCredentials,
    InvalidPayload,
    InvalidQuery,
    MethodNotAllowed,
    RollcallError,
    ServiceUnavailable,
)
from app.http.errors import error_response
from app.http.identity import Identity
from app.repositories.base import Services
from app.repositories.directory import Directory
from app.schema.schema import schema

JSON = "application/json; charset=utf-8"
GRAPHQL = "application/graphql-response+json"
OBJECTS = ("variables", "extensions")
WHOLE_ANSWER = (InvalidCredentials, ServiceUnavailable)
"""What fails a request as a whole, even where it only came to light in one field."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One GraphQL request, whichever way it came."""

    query: str
    variables: dict[str, Any] | None
    operation: str | None


class GraphQLEndpoint:
    """The ASGI application behind `/graphql/system`."""

    def __init__(self, services: Services, identity: Identity) -> None:
        self._services, self._identity = services, identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except RollcallError as error:
            response = error_response(error)
        if _prefers_graphql(request.headers.get("accept", "")):
            response.headers["Content-Type"] = f"{GRAPHQL}; charset=utf-8"
        response.headers["Vary"] = "Accept"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(request.method, ("GET", "POST"))
        caller = self._identity.of(request.scope)
        asked = await _asked(request)
        try:
            result = await schema.execute(
                asked.query,
                asked.variables,
                context_value=Directory(caller, self._services),
                operation_name=asked.operation,
                allowed_operation_types=(OperationType.QUERY,) if request.method == "GET" else tuple(OperationType),
            )
        except InvalidOperationTypeError:
            raise MethodNotAllowed(request.method, ("POST",)) from None
        return spell(result)


def _prefers_graphql(accept: str) -> bool:
    """Whether a client would rather have GraphQL's own media type than plain JSON, which is what it gets unasked."""
    weights = {media.strip(): _weight(rest) for media, _, rest in (part.partition(";") for part in accept.split(","))}
    return weights.get(GRAPHQL, 0) > 0 and weights[GRAPHQL] >= weights.get("application/json", 0)


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0
    return 1


def spell(result: ExecutionResult) -> Response:
    """A result as the answer that carries it.

    Raises GraphQLValidation for a document or variables that can't be run, and what fails a request as a whole.
    """
    errors = result.errors or []
    for error in errors:
        if isinstance(error.original_error, WHOLE_ANSWER):
            raise error.original_error
    if isinstance(result, PreExecutionError):
        ours = (_ours(error) for error in errors)
        raise next(filter(None, ours), None) or GraphQLValidation([_located(error) for error in errors])
    body: dict[str, Any] = {} if result.data is None else {"data": result.data}
    if errors:
        body["errors"] = [_told(error) for error in errors]
    return Response(orjson.dumps(body), media_type=JSON)


def _told(error: GraphQLError) -> dict[str, Any]:
    told = {**(_ours(error) or RollcallError()).as_dict(), **_place(error)}
    return told | ({"path": error.path} if error.path else {})


def _ours(error: GraphQLError) -> RollcallError | None:
    """What an error is to a client: one of ours as it is, a fault without its text; None for GraphQL's own."""
    fault = error.original_error
    if isinstance(fault, RecursionError):
        return InvalidQuery("The question is nested too deeply")
    if isinstance(fault, RollcallError):
        return fault
    return None if fault is None or isinstance(fault, GraphQLError) else RollcallError()


def _located(error: GraphQLError) -> dict[str, Any]:
    return {"message": error.message, **_place(error)}


def _place(error: GraphQLError) -> dict[str, Any]:
    return {"locations": [place.formatted for place in error.locations]} if error.locations else {}


async def _asked(request: Request) -> Asked:
    if request.method == "GET":
        return _from_query(request.scope.get("query_string", b""))
    body = await request.body()
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise InvalidPayload("Must provide query string")
    try:
        given = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"The body is not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise InvalidPayload("The body has to be one JSON object with a query")
    return _read(given)


def _from_query(text: bytes) -> Asked:
    given: dict[str, Any] = {
        name: values[-1] for name, values in parse_qs(text.decode("latin-1"), keep_blank_values=True).items()
    }
    for name in OBJECTS:
        try:
            given[name] = orjson.loads(given[name]) if given.get(name) else None
        except orjson.JSONDecodeError:
            raise InvalidPayload(f'"{name}" has to be a JSON object') from None
    return _read(given)


def _read(given: Mapping[str, Any]) -> Asked:
    query, variables, operation = given.get("query"), given.get("variables"), given.get("operationName")
    if not isinstance(query, str) or not query:
        raise InvalidPayload("Must provide query string")
    for name in OBJECTS:
        if not isinstance(given.get(name), dict | None):
            raise InvalidPayload(f'"{name}" has to be a JSON object')
    if operation is not None and not isinstance(operation, str):
        raise InvalidPayload('"operationName" has to be a text')
    return Asked(query, variables, operation or None)
