"""Builds the ASGI application: the doors behind the gate, their lifespan; all the wiring."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.config import Settings, load_settings, signing_secret
from app.core.logs import set_up_logs
from app.core.security import VerifiedTokens
from app.db.session import Database
from app.http.errors import wrong_method
from app.http.gate import Gate
from app.http.graphql import GraphQLEndpoint
from app.http.identity import Identity
from app.http.server import ServerDoors, nobody_home
from app.repositories.base import Services

GRAPHQL = "/graphql/system"

log = structlog.get_logger(__name__)


class Application:
    """The doors behind the gate; the path that nearly everybody asks for leads to GraphQL at once."""

    def __init__(self, graphql: ASGIApp, router: Router, most: int) -> None:
        self.router = router
        self._graphql, self._gate = graphql, Gate(self._lead, most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate(scope, receive, send)

    async def _lead(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == GRAPHQL:
            await self._graphql(scope, receive, send)
            return
        scope["app"] = self  # so that the router raises what it refuses, and leaves the words to us
        try:
            await self.router(scope, receive, send)
        except HTTPException as refusal:
            raise wrong_method(scope["method"], refusal) from None


def create_app(settings: Settings | None = None) -> Application:
    """The application for these settings, or for those of the environment.

    Nothing is connected to before the first request. Raises BadSettings for settings that can't be used, Refusal for
    a database that can't be.
    """
    settings = settings or load_settings()
    set_up_logs(settings.log_level, settings.log_style)
    database = Database.open(settings)
    services, tokens = Services.over(database, settings), VerifiedTokens(signing_secret(settings))
    identity = Identity(tokens, settings.session_cookie_name, settings.ip_trust_proxy)
    graphql = GraphQLEndpoint(services, identity)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        _warn(settings)
        try:
            yield
        finally:
            await database.dispose()

    doors = ServerDoors(services, identity).routes()
    doors += [Route(path, graphql) for path in (GRAPHQL, f"{GRAPHQL}/{{anything:path}}")]
    router = Router(doors, redirect_slashes=False, default=nobody_home, lifespan=lifespan)
    return Application(graphql, router, settings.max_payload_size)


def _warn(settings: Settings) -> None:
    if settings.secret is None and not settings.database_url.startswith("sqlite"):
        log.warning("no_secret", hint="SECRET is not set, data/secret is used: other nodes need the same")
