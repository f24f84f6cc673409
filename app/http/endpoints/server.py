"""The doors that tell about the server itself."""

import asyncio

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from app.core.errors import RouteNotFound
from app.flows import server_info
from app.graphql.schema import schema
from app.graphql.visibility.caller_schema import caller_schema_for
from app.graphql.visibility.coordinates import visibility_for
from app.http.authentication import Authenticator
from app.http.request_head import RequestHead
from app.openapi.document import openapi
from app.repositories.directory import Directory
from app.repositories.services import Services

JSON = "application/json; charset=utf-8"
HEALTH = "application/health+json; charset=utf-8"


class ServerEndpoints:
    """What the server is, how it is, and the schema that the caller sees."""

    def __init__(self, services: Services, identity: Authenticator) -> None:
        self._services, self._identity = services, identity

    def routes(self) -> list[Route]:
        """Every path below /server, and the root where it leads anywhere."""
        leads = [Route("/", self.root)] if self._services.settings.root_redirect else []
        return [
            *leads,
            Route("/server/ping", ping),
            Route("/admin/users/{user}", email_verified_page),
            Route("/server/info", self.info),
            Route("/server/health", self.health),
            Route("/server/specs/graphql/system", self.specs),
            Route("/server/specs/oas", self.openapi),
        ]

    async def root(self, _: Request) -> Response:
        """Leads on to where the settings say."""
        place = str(self._services.settings.root_redirect)
        return PlainTextResponse(f"Found. Redirecting to {place}", 302, {"Location": place})

    async def info(self, request: Request) -> Response:
        """The project; for those who are somebody, also the limits and the Directus whose answers these are."""
        access = await self._directory(request).fresh_access()
        told = {"project": await server_info.project(self._services)}
        if access.user is not None:
            told |= server_info.limits(self._services) | {"version": server_info.DIRECTUS_VERSION}
        return Response(orjson.dumps({"data": told}), media_type=JSON)

    async def health(self, request: Request) -> Response:
        """Whether the database answers: 200, or 503 where it doesn't; for admins, how long it took."""
        found = await server_info.health(self._services)
        include_details = found.healthy and (await self._directory(request).fresh_access()).admin
        body = orjson.dumps(found.as_dict(include_details=include_details))
        return Response(body, 200 if found.healthy else 503, media_type=HEALTH)

    async def specs(self, request: Request) -> Response:
        """The SDL as this caller sees it; nobody lives here while introspection is closed."""
        if not self._services.limits.introspection:
            raise RouteNotFound(request.scope["path"])
        access = await self._directory(request).fresh_access()
        seen = caller_schema_for(schema.graphql, access, self._services.limits)
        sdl = await asyncio.to_thread(lambda: seen.sdl)
        name = {"Content-Disposition": 'attachment; filename="rollcall.graphql"'}
        return Response(sdl, headers=name, media_type="application/octet-stream")

    async def openapi(self, request: Request) -> Response:
        """The OpenAPI document as this caller sees it; it is closed with the schema, of which it tells as much."""
        if not self._services.limits.introspection:
            raise RouteNotFound(request.scope["path"])
        shown = visibility_for(await self._directory(request).fresh_access())
        return Response(await openapi(shown, self._services.settings), media_type=JSON)

    def _directory(self, request: Request) -> Directory:
        return Directory(self._identity.authenticate(RequestHead(request.scope)), self._services)


async def ping(_: Request) -> PlainTextResponse:
    """Whether the process answers; the database isn't asked."""
    return PlainTextResponse("pong", media_type="text/html")


async def email_verified_page(_: Request) -> PlainTextResponse:
    """Where the link out of a registration's mail leads on to; in Directus' app it is the page of that user."""
    return PlainTextResponse("Your address is confirmed. You can sign in now.")


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Every path that leads nowhere; raises RouteNotFound. Nowhere is anything told over a websocket."""
    if scope["type"] == "websocket":
        await WebSocketClose()(scope, receive, send)
        return
    raise RouteNotFound(scope["path"])
