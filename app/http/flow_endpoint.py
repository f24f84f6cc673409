"""The endpoint of the account flows: a method and a path select one, a JSON body holds its input."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

from starlette.types import Scope

from app.core.errors import RollcallError, RouteNotFound
from app.flows.api_token_policy import READING_OPERATIONS
from app.flows.tfa_policy import ANONYMOUS_FLOWS, OPERATIONS_BEFORE_TFA, FlowOperation
from app.http.authentication import Authenticator
from app.http.cookies import set_cookie_header
from app.http.endpoint_request import EndpointRequest
from app.http.exchange import BodyReader
from app.http.parsing import QueryParameters, parse_query
from app.http.request_head import RequestHead, requested_path
from app.http.response import Response, error_response
from app.repositories.directory import Directory
from app.repositories.services import Services


@dataclass(frozen=True, slots=True)
class FlowRequest(EndpointRequest):
    """A request to a flow."""

    @property
    def parameters(self) -> QueryParameters:
        """The parsed query string.

        Raises:
            InvalidQuery: It can't be parsed.
        """
        return parse_query(self.head.query)


class FlowRoute(NamedTuple):
    """What a method and a path lead to."""

    operation: FlowOperation
    handler: Callable[[FlowRequest], Awaitable[Response]]


FlowRoutes = Mapping[tuple[str, str], FlowRoute]
"""Routes by method and path."""


class FlowEndpoint:
    """Runs flows; none of its responses may be stored.

    Anonymous flows ignore the session cookie: an expired session must not prevent anyone from starting another one. A
    token sent in any other way must be valid. `tfa_policy` says which operations are available before TFA setup.
    """

    def __init__(self, services: Services, authenticator: Authenticator, routes: FlowRoutes) -> None:
        self._services, self._authenticator, self.routes = services, authenticator, routes

    @property
    def paths(self) -> Collection[str]:
        """The paths of all flows."""
        return {path for _, path in self.routes}

    async def __call__(self, scope: Scope, head: RequestHead, body: BodyReader) -> Response:
        try:
            response = await self._respond(scope, head, body)
        except RollcallError as error:  # not left to the middleware: error responses may not be stored either
            response = error_response(error)
        return replace(response, no_store=True)

    async def _respond(self, scope: Scope, head: RequestHead, body: BodyReader) -> Response:
        operation, handler = self._route(scope)
        caller = self._authenticator.authenticate(_without_cookie(head) if operation in ANONYMOUS_FLOWS else head)
        directory = Directory(caller, self._services, head.client_info, shares_budget=True)
        if not caller.anonymous:
            await directory.fresh_access()
        if operation not in OPERATIONS_BEFORE_TFA:
            await directory.require_tfa_setup_done()
        if operation not in READING_OPERATIONS:
            await directory.require_writable()
        response = await handler(FlowRequest(directory, head, body))
        now = self._services.clock()
        cookies = [set_cookie_header(cookie, self._services.settings, now) for cookie in directory.response_cookies]
        return replace(response, headers=[*response.headers, *cookies])

    def _route(self, scope: Scope) -> FlowRoute:
        """Return the route of a request; HEAD uses GET's unless it has its own."""
        method, path = scope["method"], scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/")
        route = self.routes.get((method, path)) or (self.routes.get(("GET", path)) if method == "HEAD" else None)
        if route is None:
            raise RouteNotFound(requested_path(scope))
        return route


def _without_cookie(head: RequestHead) -> RequestHead:
    anonymous = copy(head)
    anonymous.cookie = b""
    return anonymous
