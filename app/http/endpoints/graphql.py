"""The door for GraphQL: a request's body -> a query, and its result -> an answer as Directus spells it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import orjson
from graphql import GraphQLError
from starlette.types import Scope
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from app.core.cache import LRUCache
from app.core.errors import (
    GraphQLValidation,
    InvalidCredentials,
    InvalidPayload,
    InvalidQuery,
    MethodNotAllowed,
    RollcallError,
    ServiceUnavailable,
)
from app.graphql.fields.account import FieldCredentialsError
from app.graphql.plans.queries import BoundRequest, answer_from_plan
from app.graphql.schema import schema
from app.http.authentication import Authenticator
from app.http.cookies import set_cookie_header as spell_cookie
from app.http.exchange import Body
from app.http.request_head import RequestHead
from app.http.response import JSON, VARIES, Header, Response, error_response
from app.policy.rules import Access
from app.repositories.directory import Directory
from app.repositories.services import Services

GRAPHQL, PLAIN_JSON = "application/graphql-response+json", b"application/json"
GRAPHQL_TYPE = f"{GRAPHQL}; charset=utf-8".encode()
ACCEPTING = b"Accept, " + VARIES
ALLOWED = ("GET", "POST")
OBJECTS = ("variables", "extensions")
ASKED_BEFORE, SHORT = 200, 2_000
"""Requests that are remembered with their plans at once, and bytes of the longest of them."""
RequestKey = tuple[Access, bytes, bytes]
"""What makes a request the same as one before: whose rights ask, the type of the body, and the body."""
WHOLE_ANSWER = (InvalidCredentials, ServiceUnavailable)
"""What fails a request as a whole, even where it only came to light in one field."""


GraphQLParams = tuple[str, dict[str, Any] | None, str | None]
"""One GraphQL request, whichever way it came: its query, its variables, and the name of the operation."""


class GraphQLEndpoint:
    """The door behind `/graphql/system`."""

    def __init__(self, services: Services, identity: Authenticator) -> None:
        self._services, self._identity = services, identity
        self._asked_before: LRUCache[RequestKey, BoundRequest] = LRUCache(ASKED_BEFORE)

    async def __call__(self, scope: Scope, head: RequestHead, body: Body) -> Response:
        media = GRAPHQL_TYPE if head.accept and _prefers_graphql(head.accept) else JSON
        try:
            directory = Directory(self._identity.authenticate(head), self._services, head.client_info)
            if scope["method"] == "POST":
                again = (head.content_type, await body())
                told = await answer_from_plan(directory, lambda access: self._ready(directory, (access, *again)))
                told = told or await self._execute(directory, _from_body(*again), tuple(OperationType))
            else:
                told = await self._by_get(scope["method"], directory, head.query)
        except RollcallError as error:
            return replace(error_response(error, media), varies=ACCEPTING)
        more = self._cookies(directory) if directory.response_cookies else ()
        return Response(told, 200, media, more, ACCEPTING, directory.no_store)

    def _cookies(self, directory: Directory) -> Sequence[Header]:
        settings, now = self._services.settings, self._services.clock
        return [spell_cookie(cookie, settings, now()) for cookie in directory.response_cookies]

    async def _by_get(self, method: str, directory: Directory, query: bytes) -> bytes:
        if method != "GET":
            raise MethodNotAllowed(method, ALLOWED)
        asked = _from_query(query)
        return await schema.execute_planned(directory, *asked) or await self._execute(
            directory, asked, (OperationType.QUERY,)
        )

    def _ready(self, directory: Directory, again: RequestKey) -> BoundRequest | None:
        """The plan of a request's body, straight away if the same was asked before."""
        before = self._asked_before.get(again, None)
        if before is not None:
            return before
        access, content_type, raw = again
        ready = schema.plans.find(directory, access, *_from_body(content_type, raw), changing=True)
        if ready is not None and ready.same and len(raw) <= SHORT:
            self._asked_before.set(again, ready)
        return ready

    async def _execute(self, directory: Directory, asked: GraphQLParams, allowed: tuple[OperationType, ...]) -> bytes:
        query, variables, operation = asked
        try:
            result = await schema.execute_full(
                query,
                variables,
                context_value=directory,
                operation_name=operation,
                allowed_operation_types=allowed,
            )
        except InvalidOperationTypeError:
            raise MethodNotAllowed("GET", ("POST",)) from None
        return encode_result(result)


def _prefers_graphql(given: bytes) -> bool:
    """Whether a client would rather have GraphQL's own media type than plain JSON, which is what it gets unasked."""
    accept = given.decode("latin-1")
    if GRAPHQL not in accept:
        return False
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


def encode_result(result: ExecutionResult) -> bytes:
    """A result as the answer that carries it.

    Raises GraphQLValidation for a document or variables that can't be run, and what fails a request as a whole.
    """
    errors = result.errors or []
    for error in errors:
        fault = error.original_error
        if isinstance(fault, WHOLE_ANSWER) and not isinstance(fault, FieldCredentialsError):
            raise fault
    if isinstance(result, PreExecutionError):
        ours = (_ours(error) for error in errors)
        raise next(filter(None, ours), None) or GraphQLValidation([_located(error) for error in errors])
    body: dict[str, Any] = {} if result.data is None else {"data": result.data}
    if errors:
        body["errors"] = [told for error in errors for told in _told(error)]
    return orjson.dumps(body)


def _told(error: GraphQLError) -> list[dict[str, Any]]:
    place = _place(error) | ({"path": error.path} if error.path else {})
    return [{**entry, **place} for entry in (_ours(error) or RollcallError()).entries()]


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


def _from_body(content_type: bytes, body: bytes) -> GraphQLParams:
    if content_type != PLAIN_JSON and content_type.partition(b";")[0].strip().lower() != PLAIN_JSON:
        raise InvalidPayload("Must provide query string")
    try:
        given = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(f"The body is not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise InvalidPayload("The body has to be one JSON object with a query")
    return _read(given)


def _from_query(text: bytes) -> GraphQLParams:
    try:
        named = parse_qs(text.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidQuery("The query string is not valid UTF-8") from None
    given: dict[str, Any] = {name: values[-1] for name, values in named.items()}
    for name in OBJECTS:
        try:
            given[name] = orjson.loads(given[name]) if given.get(name) else None
        except orjson.JSONDecodeError:
            raise InvalidPayload(f'"{name}" has to be a JSON object') from None
    return _read(given)


def _read(given: Mapping[str, Any]) -> GraphQLParams:
    query, variables, operation = given.get("query"), given.get("variables"), given.get("operationName")
    if not isinstance(query, str) or not query:
        raise InvalidPayload("Must provide query string")
    for name in OBJECTS:
        if given.get(name) is not None and not isinstance(given[name], dict):
            raise InvalidPayload(f'"{name}" has to be a JSON object')
    if operation is not None and not isinstance(operation, str):
        raise InvalidPayload('"operationName" has to be a text')
    return query, variables, operation or None
