"""Builds the ASGI application: lifespan, middleware, routes; all the wiring."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from app.core.config import Settings, load_settings, signing_secret
from app.core.logs import set_up_logs
from app.db.session import Database
from app.http.errors import wrong_method
from app.http.graphql import GraphQLEndpoint
from app.http.identity import Identity
from app.http.middleware import BodyLimit, Errors, RequestLog, SafeHeaders
from app.http.server import ServerDoors, nobody_home
from app.repositories.base import Services

log = structlog.get_logger(__name__)


def create_app(settings: Settings | None = None) -> Starlette:
    """The application for these settings, or for those of the environment.

    Nothing is connected to before the first request. Raises BadSettings for settings that can't be used, Refusal for
    a database that can't be.
    """
    settings = settings or load_settings()
    set_up_logs(settings.log_level, settings.log_style)
    database = Database.open(settings)
    services, identity = Services.over(database, settings), Identity(settings, signing_secret(settings))
    graphql = GraphQLEndpoint(services, identity)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        _warn(settings)
        try:
            yield
        finally:
            await database.dispose()

    app = Starlette(
        routes=[
            *ServerDoors(services, identity).routes(),
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


def _warn(settings: Settings) -> None:
    if settings.secret is None and not settings.database_url.startswith("sqlite"):
        log.warning("no_secret", hint="SECRET is not set, data/secret is used: other nodes need the same")
