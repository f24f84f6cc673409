"""Endpoints about the server itself: health, project, limits and the API's descriptions."""

from collections.abc import Awaitable, Callable, Collection, Mapping

import orjson
from starlette.types import Scope

from app.core.computing import compute_in_thread
from app.core.errors import MethodNotAllowed, RouteNotFound
from app.core.lifecycle import Phase
from app.flows import server_info
from app.flows.health import detailed_health, health, readiness
from app.graphql.schema import schema_of
from app.graphql.visibility.caller_schema import caller_schema_for
from app.http.authentication import Authenticator
from app.http.endpoint_paths import LIVE, READY
from app.http.exchange import BodyReader
from app.http.request_head import READ_METHODS, RequestHead
from app.http.response import HTML, PLAIN_TEXT, Response
from app.openapi.rendering import openapi
from app.policy.visibility import visibility_for
from app.repositories.directory import Directory
from app.repositories.services import Services

VERIFIED_USERS = "/admin/users"
"""Path prefix of the pages that the links in registration mails redirect to."""
ROOTS = ("/", "/server", VERIFIED_USERS, "/robots.txt")
"""Path prefixes of this endpoint."""
HEALTH_JSON = b"application/health+json; charset=utf-8"
BINARY = b"application/octet-stream"
SDL_FILE = (b"content-disposition", b'attachment; filename="rollcall.graphql"')

Handler = Callable[[Scope, RequestHead], Awaitable[Response]]


class ServerEndpoints:
    """The endpoint behind `ROOTS`; the root exists only if the settings redirect it."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services, self._authenticator = services, authenticator
        self.handlers: Mapping[str, Handler] = {
            "/server/ping": _ping,
            LIVE: _live,
            READY: self._ready,
            "/server/info": self._info,
            "/server/health": self._health,
            "/server/specs/graphql": self._sdl,
            "/server/specs/graphql/system": self._sdl,
            "/server/specs/oas": self._openapi,
            "/admin/users/{user}": _email_verified_page,
            "/robots.txt": _robots,
            **({"/": self._root} if services.settings.root_target else {}),
        }

    @property
    def paths(self) -> Collection[str]:
        """The paths that contain no value."""
        return {path for path in self.handlers if "{" not in path}

    async def __call__(self, scope: Scope, head: RequestHead, _: BodyReader) -> Response:
        handler = self.handler(scope["path"].removeprefix(scope.get("root_path", "")))
        if handler is None:
            raise RouteNotFound(scope["path"])
        if scope["method"] not in READ_METHODS:
            raise MethodNotAllowed(scope["method"], READ_METHODS)
        return await handler(scope, head)

    def handler(self, path: str) -> Handler | None:
        """Return the handler of a path; the last step of `/admin/users/{user}` may be any."""
        return self.handlers.get(path) or self.handlers.get(f"{path.rpartition('/')[0]}/{{user}}")

    async def _root(self, _: Scope, __: RequestHead) -> Response:
        """Redirect to `ROOT_REDIRECT` or the Studio."""
        target = str(self._services.settings.root_target)
        location = (b"location", target.encode("latin-1"))
        return Response(f"Found. Redirecting to {target}".encode(), 302, PLAIN_TEXT, (location,))

    async def _info(self, _: Scope, head: RequestHead) -> Response:
        """Return the project; for authenticated callers also the limits and the Directus version served."""
        access = await self._directory(head).fresh_access()
        info = {"project": await server_info.project(self._services), "setupCompleted": True}  # there is an admin
        if access.user is not None:
            info |= server_info.limits(self._services) | {"version": server_info.DIRECTUS_VERSION}
        return Response(orjson.dumps({"data": info}))

    async def _health(self, _: Scope, head: RequestHead) -> Response:
        """Return 200 if the database answers, else 503; admins also get the response time of each dependency."""
        found = await health(self._services)
        include_details = found.healthy and (await self._directory(head).fresh_access()).admin
        if include_details:
            found = await detailed_health(self._services)
        body = orjson.dumps(found.as_dict(include_details=include_details))
        return Response(body, 200 if found.healthy else 503, HEALTH_JSON)

    async def _ready(self, _: Scope, __: RequestHead) -> Response:
        """Return 200 if requests should be sent to this process, else 503."""
        state = await readiness(self._services)
        return Response(orjson.dumps({"status": state}), 200 if state == Phase.READY else 503, no_store=True)

    async def _sdl(self, scope: Scope, head: RequestHead) -> Response:
        """Return the SDL of the caller's schema.

        Raises:
            RouteNotFound: Introspection is disabled.
        """
        self._require_introspection(scope)
        access = await self._directory(head).described_access()
        schema = schema_of(self._services)
        visible = caller_schema_for(schema.graphql, access, self._services.limits)
        sdl = await compute_in_thread(lambda: visible.sdl)
        return Response(sdl.encode(), media=BINARY, headers=(SDL_FILE,))

    async def _openapi(self, scope: Scope, head: RequestHead) -> Response:
        """Return the caller's OpenAPI document; it reveals as much as the schema, so it is disabled with it.

        Raises:
            RouteNotFound: Introspection is disabled.
        """
        self._require_introspection(scope)
        visibility = visibility_for(await self._directory(head).described_access())
        return Response(await openapi(visibility, self._services.settings))

    def _require_introspection(self, scope: Scope) -> None:
        if not self._services.limits.introspection:
            raise RouteNotFound(scope["path"])

    def _directory(self, head: RequestHead) -> Directory:
        return Directory(self._authenticator.authenticate(head), self._services)


async def _ping(_: Scope, __: RequestHead) -> Response:
    """Return "pong" if the process answers; the database is not queried."""
    return Response(b"pong", media=HTML)


async def _live(_: Scope, __: RequestHead) -> Response:
    """Return 200 if the process answers."""
    return Response(orjson.dumps({"status": "live"}), no_store=True)


async def _robots(_: Scope, __: RequestHead) -> Response:
    """Return the rule that keeps search engines away from the API and from the files it serves."""
    return Response(b"User-agent: *\nDisallow: /", media=PLAIN_TEXT)


async def _email_verified_page(_: Scope, __: RequestHead) -> Response:
    """Return the page that the link in a registration mail redirects to; in Directus' app it is the user's page."""
    return Response(b"Your address is confirmed. You can sign in now.", media=PLAIN_TEXT)
