"""The endpoint that runs the functions which extensions register for paths of their own."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response as StarletteResponse
from starlette.responses import StreamingResponse
from starlette.routing import compile_path
from starlette.types import Message, Receive, Scope

from app.core.errors import InvalidPayload, MethodNotAllowed, RouteNotFound
from app.extensions.contents import ExtensionRoute
from app.flows.api_token_policy import READING_METHODS
from app.http.authentication import Authenticator
from app.http.cookies import set_cookie_header
from app.http.exchange import BodyReader
from app.http.parsing import parse_json
from app.http.request_head import RequestHead, requested_path
from app.http.response import VARIES, Header, Response
from app.repositories.directory import Directory
from app.repositories.services import Services

SERVER_HEADERS = frozenset((b"cache-control", b"content-type", b"vary", b"x-content-type-options", b"x-request-id"))
"""Headers of a response that the server sets itself, from other parts of the response or by its own rules."""
CSP = b"content-security-policy"


class ExtensionRequest(Request):
    """A Starlette request whose body is read within Rollcall's limits."""

    def __init__(self, scope: Scope, receive: Receive, max_values: int) -> None:
        super().__init__(scope, receive)
        self._max_values = max_values

    async def json(self) -> Any:
        """Return the value of a JSON body.

        Raises:
            InvalidPayload: The body is empty, not JSON, or too large, or its Content-Type isn't JSON.
        """
        content_type = self.headers.get("content-type", "").encode("latin-1")
        return parse_json(await self.body(), content_type, self._max_values)


class CompiledRoute(NamedTuple):
    """A route with the pattern of its path and the converters of its parameters."""

    route: ExtensionRoute
    pattern: re.Pattern[str]
    converters: Mapping[str, Any]

    @classmethod
    def compile(cls, route: ExtensionRoute) -> "CompiledRoute":
        """Return a compiled route; the fixed segments of its path match in any case."""
        pattern, _, converters = compile_path(route.path)
        return cls(route, re.compile(pattern.pattern, re.IGNORECASE), converters)


class ExtensionEndpoint:
    """Runs the functions of extensions below one path prefix, with the directory of the caller.

    Invalid credentials are rejected before a function runs, and so are callers that must set up two-factor
    authentication first. Anonymous callers are not.
    """

    def __init__(self, services: Services, authenticator: Authenticator, routes: Sequence[ExtensionRoute]) -> None:
        self._services, self._authenticator = services, authenticator
        self._routes = [CompiledRoute.compile(route) for route in routes]

    @property
    def paths(self) -> Sequence[str]:
        """The paths that contain no parameter."""
        return [compiled.route.path.lower() for compiled in self._routes if not compiled.converters]

    async def __call__(self, scope: Scope, head: RequestHead, body: BodyReader) -> Response:
        route, parameters = self._route(scope)
        caller = self._authenticator.authenticate(head)
        directory = Directory(caller, self._services, head.client_info, shares_budget=True)
        if not caller.anonymous:
            await directory.fresh_access()
        await directory.require_tfa_setup_done()
        if scope["method"] not in READING_METHODS:
            await directory.require_writable()
        scope = {**scope, "path": requested_path(scope), "path_params": parameters}
        request = ExtensionRequest(scope, _receive(body), self._services.settings.max_payload_values)
        try:
            response = await _as_response(await route.function(request, directory), scope)
        except MultiPartException as error:
            raise InvalidPayload(error.message) from None
        finally:
            await request.close()
        now = self._services.clock()
        cookies = [set_cookie_header(cookie, self._services.settings, now) for cookie in directory.response_cookies]
        return replace(response, headers=[*response.headers, *cookies], no_store=directory.no_store)

    def _route(self, scope: Scope) -> tuple[ExtensionRoute, dict[str, Any]]:
        """Return the route of a request with the values of its parameters; HEAD uses GET's."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        path = requested_path(scope).removeprefix(scope.get("root_path", "")).rstrip("/")
        allowed: list[str] = []
        for route, pattern, converters in self._routes:
            if match := pattern.fullmatch(path):
                if method in route.methods:
                    return route, {
                        name: _parameter(converters[name].convert(text)) for name, text in match.groupdict().items()
                    }
                allowed += route.methods
        if allowed:
            raise MethodNotAllowed(scope["method"], list(dict.fromkeys(allowed)))
        raise RouteNotFound(requested_path(scope))


def _parameter(value: Any) -> Any:
    """Return a UUID as the text that repositories take as a key, any other value unchanged."""
    return str(value) if isinstance(value, UUID) else value


def _receive(read_body: BodyReader) -> Receive:
    """Return an ASGI callable that yields the whole body as one message, and after it nothing."""
    is_read = False

    async def receive() -> Message:
        nonlocal is_read
        if is_read:
            await _never()
        is_read = True
        return {"type": "http.request", "body": await read_body(), "more_body": False}

    return receive


async def _never() -> Message:
    """Wait until cancelled: the middleware notices by itself that the client leaves."""
    while True:
        await asyncio.Event().wait()


async def _as_response(result: Any, scope: Scope) -> Response:
    """Return a Starlette response as it is, anything else as JSON."""
    if not isinstance(result, StarletteResponse):
        return Response(orjson.dumps(result))
    if isinstance(result, StreamingResponse):
        return _converted(result.status_code, result.raw_headers, stream=_chunks(result))
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await result({**scope, "method": "GET", "extensions": {}}, _never, send)
    start = messages[0]
    return _converted(start["status"], start["headers"], b"".join(message.get("body", b"") for message in messages[1:]))


async def _chunks(response: StreamingResponse) -> AsyncIterator[bytes]:
    async for chunk in response.body_iterator:
        yield chunk.encode(response.charset) if isinstance(chunk, str) else bytes(chunk)
    if response.background is not None:
        await response.background()


def _converted(
    status: int, headers: Sequence[Header], body: bytes = b"", stream: AsyncIterator[bytes] | None = None
) -> Response:
    values = dict(headers)
    computed = SERVER_HEADERS | {CSP} | (set() if stream is not None else {b"content-length"})
    response = Response(
        body,
        status,
        values.get(b"content-type", b""),
        [(name, value) for name, value in headers if name not in computed],
        b", ".join(filter(None, (VARIES, values.get(b"vary")))),
        stream=stream,
    )
    return replace(response, policy=(CSP, values[CSP])) if CSP in values else response
