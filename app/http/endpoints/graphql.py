"""The GraphQL endpoint: reads a query from the request, executes it, and encodes the result as Directus does."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

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
    InvalidQuery,
    MethodNotAllowed,
    RollcallError,
    ServiceUnavailable,
)
from app.graphql.fields.account import FieldCredentialsError
from app.graphql.fields.subscription_fields import NOT_ENABLED, OVER_HTTP
from app.graphql.plans.queries import BoundRequest, NotPlannedYet, answer_from_plan
from app.graphql.schema import schema_of
from app.http.authentication import Authenticator
from app.http.cookies import set_cookie_header
from app.http.endpoint_request import error_to_report
from app.http.exchange import BodyReader
from app.http.graphql_media import EVENT_STREAM, preferred_media
from app.http.graphql_request import GraphQLParams, PostRequest, parse_graphql_query
from app.http.parsing import MAX_INLINE_BYTES
from app.http.realtime.event_stream import COMPLETE, UNBUFFERED, next_event
from app.http.request_head import RequestHead
from app.http.response import JSON, VARIES, Header, Response, error_response
from app.policy.access_cache import StalePlan
from app.policy.rules import Access
from app.repositories.directory import Directory
from app.repositories.services import Services

if TYPE_CHECKING:
    from app.http.realtime.subscription_streams import SubscriptionStreams

VARIES_BY_ACCEPT = b"Accept, " + VARIES
ALLOWED_METHODS = ("GET", "POST")
SINGLE_CONNECTION_METHODS = ("PUT", "DELETE")
ONLY_DISTINCT_CONNECTIONS = "The protocol graphql-sse is served in its distinct connections mode only."
MAX_CACHED_REQUESTS, MAX_CACHED_BODY_BYTES = 200, 2_000
READS_AND_WRITES = (OperationType.QUERY, OperationType.MUTATION)
REQUEST_ERRORS = (InvalidCredentials, ServiceUnavailable)
"""Errors that fail the whole request, even if only one field raises them."""

RequestKey = tuple[Access, bytes, bytes]
"""What identifies a repeated request: the caller's access, the Content-Type, and the body."""


class GraphQLEndpoint:
    """The endpoint behind `/graphql/system`."""

    def __init__(
        self, services: Services, authenticator: Authenticator, streams: "SubscriptionStreams | None" = None
    ) -> None:
        self._services, self._authenticator, self._streams = services, authenticator, streams
        self._schema = schema_of(services)
        self._max_values = services.settings.max_payload_values
        self._plan_hits = services.metrics.graphql_plan_hits
        self._bound_requests: LRUCache[RequestKey, BoundRequest] = LRUCache(MAX_CACHED_REQUESTS)

    async def __call__(self, scope: Scope, head: RequestHead, read_body: BodyReader) -> Response:
        media = preferred_media(head.accept) if head.accept else JSON
        directory = None
        try:
            caller = self._authenticator.credentials(head).caller
            directory = Directory(caller, self._services, head.client_info, shares_budget=True)
            if scope["method"] == "POST":
                body = await self._execute_post(directory, head.content_type, await read_body())
            else:
                body = await self._execute_get(scope["method"], directory, head.query)
        except RollcallError as error:
            if media is EVENT_STREAM:
                return await self._answer_by_events(error, scope, head, directory, read_body)
            return await _error_response(error, directory, media)
        headers = self._cookies(directory) if directory.response_cookies else ()
        if media is EVENT_STREAM:
            return _events(body, headers)
        return Response(body, 200, media, headers, VARIES_BY_ACCEPT, directory.no_store)

    async def _answer_by_events(
        self, error: RollcallError, scope: Scope, head: RequestHead, directory: Directory | None, read_body: BodyReader
    ) -> Response:
        """Answer a subscription by a stream, and an invalid operation by an event, as the protocol says."""
        try:
            if isinstance(error, SubscriptionOverHTTP):
                if self._streams is None:
                    return _events(_errors(GraphQLValidation([{"message": NOT_ENABLED}])))
                await read_body()  # also that of a GET: after its end, it is noticed when the client leaves
                return await self._streams.open(scope, head, error.params)
            if directory is not None and isinstance(error, GraphQLValidation | InvalidQuery):
                reported = await error_to_report(error, directory)
                if reported is error:
                    return _events(_errors(error))
        except RollcallError as another:
            error = another
        return await _error_response(error, directory, JSON)

    def _cookies(self, directory: Directory) -> Sequence[Header]:
        settings, now = self._services.settings, self._services.clock
        return [set_cookie_header(cookie, settings, now()) for cookie in directory.response_cookies]

    async def _execute_post(self, directory: Directory, content_type: bytes, sent: bytes) -> bytes:
        services, access = self._services, directory.cached_access
        request = PostRequest(content_type, sent, self._max_values)
        if len(sent) > MAX_INLINE_BYTES:
            await services.planning.run(directory.owner, lambda: request.params)
        planned, takes_more = None, access is None or services.access_cache.is_outdated or services.tracer.is_recording
        if access is not None and not takes_more:  # almost every request: the fewest steps
            try:
                bound = self._bind(directory, request, access, may_plan=False)
                planned = None if bound is None else await bound.execute(services)
            except NotPlannedYet:
                takes_more = True
            except StalePlan:
                access, takes_more = await services.access_cache.refresh(directory.caller, access), True
        if takes_more:
            planned = await answer_from_plan(directory, access, partial(self._bind, directory, request))
        return planned or await self._execute(directory, request.params, READS_AND_WRITES)

    async def _execute_get(self, method: str, directory: Directory, query: bytes) -> bytes:
        if method in SINGLE_CONNECTION_METHODS:
            raise SingleConnectionMode(method, ALLOWED_METHODS)
        if method != "GET":
            raise MethodNotAllowed(method, ALLOWED_METHODS)
        params = parse_graphql_query(query, self._max_values)
        body = await self._schema.execute_planned(directory, *params)
        return body or await self._execute(directory, params, (OperationType.QUERY,))

    def _bind(
        self, directory: Directory, request: PostRequest, access: Access, *, may_plan: bool
    ) -> BoundRequest | None:
        """Return the request bound to its plan, None if there is no plan; cached if nothing in it can differ."""
        key = (access, request.content_type, request.body)
        cached = self._bound_requests.get(key, None)
        if cached is not None and not may_plan:
            self._plan_hits.number += 1
            return cached
        bound = self._schema.plans.bind(directory, access, *request.params, allow_mutations=True, may_plan=may_plan)
        if bound is not None and bound.is_reusable and len(request.body) <= MAX_CACHED_BODY_BYTES:
            self._bound_requests.set(key, bound)
        return bound

    async def _execute(self, directory: Directory, params: GraphQLParams, allowed: tuple[OperationType, ...]) -> bytes:
        query, variables, operation_name = params
        try:
            with self._services.tracer.span("execute graphql"):
                result = await self._schema.execute_full(
                    query,
                    variables,
                    context_value=directory,
                    operation_name=operation_name,
                    allowed_operation_types=allowed,
                )
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.SUBSCRIPTION:
                raise SubscriptionOverHTTP(params) from None
            raise MethodNotAllowed("GET", ("POST",)) from None
        return encode_result(result)


class SubscriptionOverHTTP(GraphQLValidation):
    """A request is a subscription, which takes more than one response."""

    def __init__(self, params: GraphQLParams) -> None:
        super().__init__([{"message": OVER_HTTP}])
        self.params = params


class SingleConnectionMode(MethodNotAllowed):
    """A client of graphql-sse asks for the mode in which all of its subscriptions share one connection."""

    @property
    def text(self) -> str:
        return f"{super().text} {ONLY_DISTINCT_CONNECTIONS}"


def encode_result(result: ExecutionResult) -> bytes:
    """Return a result as the body of a response.

    Raises:
        GraphQLValidation: The document or the variables can't be executed.
        RollcallError: An error that fails the whole request.
    """
    errors = result.errors or []
    for error in errors:
        original = error.original_error
        if isinstance(original, REQUEST_ERRORS) and not isinstance(original, FieldCredentialsError):
            raise original
    if isinstance(result, PreExecutionError):
        known_errors = (_as_rollcall_error(error) for error in errors)
        raise next(filter(None, known_errors), None) or GraphQLValidation(
            [{"message": error.message, **_locations(error)} for error in errors]
        )
    body: dict[str, Any] = {} if result.data is None else {"data": result.data}
    if errors:
        body["errors"] = [entry for error in errors for entry in _error_entries(error)]
    return orjson.dumps(body)


async def _error_response(error: RollcallError, directory: Directory | None, media: bytes) -> Response:
    reported = error if directory is None else await error_to_report(error, directory)
    return replace(error_response(reported, media), varies=VARIES_BY_ACCEPT)


def _errors(error: RollcallError) -> bytes:
    return orjson.dumps({"errors": error.entries()})


def _events(result: bytes, headers: Sequence[Header] = ()) -> Response:
    """Return a result as server-sent events."""
    return Response(next_event(result) + COMPLETE, 200, EVENT_STREAM, (UNBUFFERED, *headers), no_store=True)


def _error_entries(error: GraphQLError) -> list[dict[str, Any]]:
    position = _locations(error) | ({"path": error.path} if error.path else {})
    return [{**entry, **position} for entry in (_as_rollcall_error(error) or RollcallError()).entries()]


def _as_rollcall_error(error: GraphQLError) -> RollcallError | None:
    """Return what a client sees of an error: an unexpected one without its text; None for GraphQL's own errors."""
    original = error.original_error
    if isinstance(original, RecursionError):
        return InvalidQuery("The query is nested too deeply")
    if isinstance(original, RollcallError):
        return original
    return None if original is None or isinstance(original, GraphQLError) else RollcallError()


def _locations(error: GraphQLError) -> dict[str, Any]:
    return {"locations": [position.formatted for position in error.locations]} if error.locations else {}
