"""Builds the ASGI application: lifespan, middleware, routes; all the wiring."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.config import Settings, load_settings, signing_secret
from app.core.logs import set_up_logs
from app.db.session import Database
from app.http.errors import wrong_method
from app.http.graphql import GraphQLEndpoint
from app.http.middleware import BodyLimit, Errors, RequestLog, SafeHeaders
from app.http.server import nobody_home, ping
from app.repositories.base import Services

log = structlog.get_logger(__name__)


def create_app(settings: Settings | None = None) -> Starlette:
    """The application for these settings, or for those of the environment; BadSettings where they can't be used."""
    settings = settings or load_settings()
    set_up_logs(settings.log_level, settings.log_style)
    graphql = Opened()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        database = Database.open(settings)
        graphql.app = GraphQLEndpoint(Services.over(database, settings), settings, signing_secret(settings))
        _warn(settings)
        try:
            yield
        finally:
            await database.dispose()

    app = Starlette(
        routes=[
            Route("/server/ping", ping),
            *(Route(path, graphql) for path in ("/graphql/system", "/graphql/system/{anything:path}")),
        ],
        middleware=[
            Middleware(RequestLog),
            Middleware(SafeHeaders),
            Middleware(Errors),
            Middleware(BodyLimit, most=settings.max_payload_size),
        ],
        exception_handlers={405: wrong_method},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.router.default = nobody_home
    return app


class Opened:
    """Stands where an application will be once the server has started."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def _warn(settings: Settings) -> None:
    if settings.secret is None and not settings.database_url.startswith("sqlite"):
        log.warning("no_secret", hint="SECRET is not set, data/secret is used: other nodes need the same")
