"""The door of the flows: a method and a path begin one, a form in JSON says with what."""

from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace

from starlette.types import Scope

from app.core.errors import RollcallError, RouteNotFound
from app.http.authentication import Authenticator
from app.http.cookies import set_cookie_header
from app.http.endpoint_request import EndpointRequest
from app.http.exchange import Body
from app.http.parsing import QueryParameters, parse_query
from app.http.request_head import RequestHead
from app.http.response import Response, error_response
from app.repositories.directory import Directory
from app.repositories.services import Services


@dataclass(frozen=True, slots=True)
class FlowRequest(EndpointRequest):
    """A request to a flow."""

    @property
    def parameters(self) -> QueryParameters:
        """What the query string says; InvalidQuery where it can't be read."""
        return parse_query(self.head.query)


Handler = Callable[[FlowRequest], Awaitable[Response]]
Handlers = Mapping[tuple[str, str], Handler]
"""Who sees to a request, by its method and path."""


class FlowEndpoint:
    """The door behind the paths of some flows; nothing that it answers is kept anywhere.

    Those `for_everybody` take no notice of a session's cookie: what they are shown besides is what counts, and a
    session that is over must keep nobody from beginning another. A token that is shown otherwise has to be good. The
    `further` ones are closed to whoever has to set up a second factor first.
    """

    def __init__(
        self, services: Services, identity: Authenticator, for_everybody: Handlers, further: Handlers | None = None
    ) -> None:
        self._services, self._identity = services, identity
        self._for_everybody, self._further = for_everybody, further or {}

    async def __call__(self, scope: Scope, head: RequestHead, body: Body) -> Response:
        try:
            reply = await self._answer(scope, head, body)
        except RollcallError as error:
            reply = error_response(error)
        return replace(reply, no_store=True)

    async def _answer(self, scope: Scope, head: RequestHead, body: Body) -> Response:
        everybodys = _found(self._for_everybody, scope)
        handler = everybodys or _found(self._further, scope)
        if handler is None:
            raise RouteNotFound(scope["path"])
        caller = self._identity.authenticate(_without_cookie(head) if everybodys else head)
        directory = Directory(caller, self._services, head.client_info)
        if not caller.anonymous:
            await directory.access()
        if not everybodys:
            await directory.require_tfa_setup_done()
        reply = await handler(FlowRequest(directory, head, body))
        now = self._services.clock()
        cookies = [set_cookie_header(cookie, self._services.settings, now) for cookie in directory.response_cookies]
        return replace(reply, headers=[*reply.headers, *cookies])


def _found(handlers: Handlers, scope: Scope) -> Handler | None:
    """Who sees to a request; whoever is asked by GET is by HEAD too, where nobody else is."""
    method, path = scope["method"], scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/")
    return handlers.get((method, path)) or (handlers.get(("GET", path)) if method == "HEAD" else None)


def _without_cookie(head: RequestHead) -> RequestHead:
    bare = copy(head)
    bare.cookie = b""
    return bare
