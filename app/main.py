"""Builds the ASGI application: the doors behind the gate, their lifespan; all the wiring."""

import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog
from starlette.routing import Router

from app.core.clock import Clock, utc_now
from app.core.config import Settings, load_settings, signing_secret
from app.core.logging import configure_logging
from app.db.database import Database
from app.flows.outbox_worker import OutboxWorker
from app.flows.retention_job import RetentionJob
from app.http.authentication import Authenticator
from app.http.cookies import ExpiredSessionCookie
from app.http.cors import Cors
from app.http.endpoints.account import ROOTS as ACCOUNT_ROOTS
from app.http.endpoints.account import account_endpoint
from app.http.endpoints.assets import AssetsEndpoint
from app.http.endpoints.auth import auth_endpoint
from app.http.endpoints.collections import CollectionEndpoint
from app.http.endpoints.graphql import GraphQLEndpoint
from app.http.endpoints.server import ROOTS as SERVER_ROOTS
from app.http.endpoints.server import ServerEndpoints
from app.http.endpoints.uploads import FileUploadEndpoint
from app.http.middleware import (
    Endpoint,
    HTTPMiddleware,
    MiddlewareOptions,
    UploadEndpoint,
    hsts_headers,
    request_limiter,
)
from app.passwords.hashers import create_hasher
from app.query.collection import COLLECTIONS, WRITABLE_COLLECTIONS
from app.repositories.services import Services

GRAPHQL, AUTH, FILES, ASSETS = "/graphql/system", "/auth", "/files", "/assets"
GC_GENERATION0_THRESHOLD = 5_000
"""Objects made before cycles among them are looked for: a query seen before leaves none, and most were."""

log = structlog.get_logger(__name__)


class RollcallApp(HTTPMiddleware):
    """The middleware with all endpoints, configured from the settings."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        router: Router,
        services: Services,
        authenticator: Authenticator,
        uploads: Mapping[str, UploadEndpoint] | None = None,
    ) -> None:
        self.router = router
        settings = services.settings
        options = MiddlewareOptions(
            limiter=request_limiter(services.rates, authenticator),
            cors=Cors.from_settings(settings),
            error_headers=ExpiredSessionCookie(services, authenticator),
            default_headers=hsts_headers(settings),
            log_requests=settings.log_level in ("debug", "info"),  # formatting an event costs more than many a query
        )
        super().__init__(endpoints, router, settings.max_payload_size, options, uploads)


def create_app(settings: Settings | None = None, clock: Clock = utc_now) -> RollcallApp:
    """The application for these settings, or for those of the environment, by this clock.

    Nothing is connected to before it is served. Raises BadSettings for settings that can't be used, Refusal for
    a database that can't be.
    """
    settings = settings or load_settings()
    configure_logging(settings.log_level, settings.log_style)
    database = Database.open(settings)
    hasher = create_hasher(settings.hash_cost)
    services = Services.from_settings(database, settings, clock, hasher)
    postman, housekeeping = OutboxWorker(services), RetentionJob(services)
    identity = Authenticator(signing_secret(settings), settings.session_cookie_name, settings.ip_trust_proxy)
    doors: dict[str, Endpoint] = {GRAPHQL: GraphQLEndpoint(services, identity)}
    doors[AUTH] = auth_endpoint(services, identity)
    doors |= dict.fromkeys(
        ACCOUNT_ROOTS, account_endpoint(services, identity)
    )  # before the collection that they lie below
    for collection in COLLECTIONS.values():
        read_only = collection not in WRITABLE_COLLECTIONS
        doors[f"/{collection.short_name}"] = CollectionEndpoint(collection, services, identity, read_only=read_only)
    doors[ASSETS] = AssetsEndpoint(services, identity)
    doors |= dict.fromkeys(SERVER_ROOTS, ServerEndpoints(services, identity))
    uploads: dict[str, UploadEndpoint] = {FILES: FileUploadEndpoint(services, identity)}

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        _warn(settings)
        gc.collect()
        gc.freeze()  # what is there now stays: to look through it again and again would cost the slowest requests most
        gc.set_threshold(GC_GENERATION0_THRESHOLD, *gc.get_threshold()[1:])
        try:
            async with (
                hasher.running(),
                services.last_access.running(settings.last_access_interval),
                postman.running(),
                housekeeping.running(),
            ):
                yield
        finally:
            await services.rates.dispose()
            await database.dispose()

    return RollcallApp(doors, Router(lifespan=lifespan), services, identity, uploads)


def _warn(settings: Settings) -> None:
    if settings.secret is None and not settings.database_url.startswith("sqlite"):
        log.warning("no_secret", hint="SECRET is not set, data/secret is used: other nodes need the same")
    if settings.cors_enabled and settings.cors_origin is True and settings.cors_credentials:
        log.warning("cors_without_cookies", hint="CORS_ORIGIN is true: list origins to let their pages send cookies")
    if settings.email_transport == "log" and not settings.database_url.startswith("sqlite"):
        log.warning("mail_in_log", hint="EMAIL_TRANSPORT is log: nobody is sent mail, its links stand in the log")
