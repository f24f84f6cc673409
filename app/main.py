"""Creates the ASGI application: wires services, endpoints and the lifespan together."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import structlog
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from app.core.clock import Clock, utc_now
from app.core.computing import compute_in_thread
from app.core.config import Settings, load_settings, signing_secret
from app.core.errors import ServiceUnavailable
from app.core.lifecycle import Phase
from app.core.logging import configure_logging
from app.db.database import Database
from app.extensions.contents import Extensions
from app.extensions.jobs import running_extensions
from app.extensions.loading import Register, load_extensions
from app.flows.access.expiry_job import AccessExpiryJob
from app.flows.directus_cache_job import DirectusCacheJob
from app.flows.outbox_worker import OutboxWorker
from app.flows.retention_job import RetentionJob
from app.flows.service_metrics import OutboxMetrics, register_readings
from app.graphql.schema import schema_of
from app.http.admission import Admission
from app.http.admission_queue import AdmissionLimits
from app.http.authentication import Authenticator
from app.http.cookies import ExpiredSessionCookie
from app.http.cors import Cors
from app.http.csrf import CsrfCheck
from app.http.endpoints.access import EXPLAIN, SIMULATE, WHO_CAN, access_endpoint
from app.http.endpoints.account import ROOTS as ACCOUNT_ROOTS
from app.http.endpoints.account import account_endpoint
from app.http.endpoints.assets import AssetsEndpoint
from app.http.endpoints.auth import auth_endpoint
from app.http.endpoints.collections import CollectionEndpoint
from app.http.endpoints.extensions import ExtensionEndpoint
from app.http.endpoints.graphql import GraphQLEndpoint
from app.http.endpoints.metrics import PATH as METRICS
from app.http.endpoints.metrics import MetricsEndpoint
from app.http.endpoints.server import ROOTS as SERVER_ROOTS
from app.http.endpoints.server import VERIFIED_USERS, ServerEndpoints
from app.http.endpoints.system_api import ROOTS as SYSTEM_API_ROOTS
from app.http.endpoints.system_api import SystemAPIEndpoint
from app.http.endpoints.uploads import FileUploadEndpoint
from app.http.middleware import (
    Endpoint,
    HTTPMiddleware,
    MiddlewareOptions,
    RequestLimiter,
    UploadEndpoint,
    hsts_headers,
    request_limiter,
)
from app.http.server_state import DRAIN
from app.http.termination import drained_before_termination
from app.metrics.exporter import MetricsExporter
from app.metrics.shared_folder import SharedFolder
from app.passwords.hashers import create_hasher
from app.policy_files.server_tests import load_policy_tests
from app.query.collection import BUILT_IN
from app.repositories.schema.registry_loader import count_custom_fields, load_schema, read_schema_token
from app.repositories.services import Services
from app.studio.addresses import ROOT as STUDIO
from app.studio.endpoint import StudioEndpoint
from app.tracing.tracer import Tracer
from app.tracing.tracer_factory import create_tracer

if TYPE_CHECKING:
    from app.flows.realtime.hub import RealtimeHub
    from app.http.realtime.realtime_connections import RealtimeConnections
    from app.http.realtime.subscription_streams import SubscriptionStreams
    from app.http.websocket.gateway import WebSocketGateway

GRAPHQL, AUTH, FILES, ASSETS = "/graphql/system", "/auth", "/files", "/assets"
UNKNOWN_SCHEMA = ""
"""The schema token of services whose registry was not loaded from the database."""
GC_GENERATION0_THRESHOLD = 5_000
"""Allocations between collections of the youngest generation: a planned query, the usual case, leaves no cycles."""

EndpointBuilder = Callable[[Services], tuple[Mapping[str, Endpoint], Mapping[str, UploadEndpoint]]]
"""Returns the endpoints by path prefix, and those of uploads."""

log = structlog.get_logger(__name__)


class Realtime(NamedTuple):
    """What serves realtime: the hub, the connections to it, and the streams of subscriptions if they are enabled."""

    hub: "RealtimeHub"
    connections: "RealtimeConnections"
    streams: "SubscriptionStreams | None"


class RollcallApp(HTTPMiddleware):
    """The middleware with all endpoints, configured from the settings.

    `build_endpoints` returns the endpoints for the services of another registry, when the fields of the directory have
    changed; without it they stay as they are.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        router: Router,
        services: Services,
        authenticator: Authenticator,
        uploads: Mapping[str, UploadEndpoint] | None = None,
        build_endpoints: EndpointBuilder | None = None,
        realtime: "Realtime | None" = None,
    ) -> None:
        self._hub = hub = None if realtime is None else realtime.hub
        if hub is not None:
            hub.refresh_services = self.refresh_schema
        self.router, self._services, self._build_endpoints = router, services, build_endpoints
        self._schema_token, self._refreshing = UNKNOWN_SCHEMA, asyncio.Lock()
        settings = services.settings
        limiter = request_limiter(services.rates, authenticator, services.metrics)
        options = MiddlewareOptions(
            limiter=limiter,
            cors=Cors.from_settings(settings),
            csrf_check=CsrfCheck(settings),
            error_headers=ExpiredSessionCookie(services, authenticator),
            default_headers=hsts_headers(settings),
            recorder=services.metrics.requests if settings.has_metrics else None,
            tracer=services.tracer if services.tracer.is_enabled else None,
            admission=Admission(
                AdmissionLimits(
                    settings.max_concurrent_requests, settings.max_queued_requests, settings.request_queue_timeout
                ),
                authenticator.client_ip,
                services.metrics,
                (provider.name for provider in settings.auth_providers),
            ),
            log_requests=settings.log_level in ("debug", "info"),  # formatting an event costs more than many a query
            websockets=None if realtime is None else _create_gateway(realtime, authenticator, settings, limiter),
        )
        super().__init__(endpoints, self._run_lifespan, settings.max_payload_size, options, uploads)

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start and stop the application, and let the server tell it that it stops; close other connections."""
        if "state" in scope:
            scope["state"][DRAIN] = self.drain
        await self.router(scope, receive, send)

    def drain(self) -> None:
        """Tell load balancers to send no more requests, and clients to send the next one on another connection."""
        if self._services.lifecycle.phase is Phase.DRAINING:
            return
        self._services.lifecycle.phase = Phase.DRAINING
        super().drain()
        if self._hub is not None:
            self._hub.drain()

    async def _is_schema_current(self) -> bool:
        """Return whether the schema is the loaded one, without a transaction: any request may ask for this."""
        return self._schema_token != UNKNOWN_SCHEMA and self._schema_token == await read_schema_token(
            self._services.database
        )

    async def refresh_schema(self) -> None:
        """Replace the endpoints if the fields of the directory have changed.

        Requests that are under way go on with those they began with; the GraphQL schema is built in a thread.

        Raises:
            ServiceUnavailable: The database is unavailable.
        """
        if self._build_endpoints is None or await self._is_schema_current():
            return
        async with self._refreshing:
            loaded = await load_schema(self._services.database, self._schema_token)
            if loaded is None:
                return
            services = self._services.with_registry(*loaded)
            await compute_in_thread(lambda: schema_of(services))
            self.use_endpoints(*self._build_endpoints(services))
            self._services, self._schema_token = services, loaded.token
            if self._hub is not None:
                self._hub.use_services(services)
            log.info("schema_loaded", custom_fields=count_custom_fields(loaded.registry))


def create_app(
    settings: Settings | None = None,
    clock: Clock = utc_now,
    extensions: Sequence[Register] = (),
    tracer: Tracer | None = None,
) -> RollcallApp:
    """Return the application for these settings, by default those of the environment.

    It connects to nothing before its lifespan starts. `extensions` are loaded after those of the settings; `tracer`
    replaces the one of the settings.

    Raises:
        ConfigurationError: The settings are invalid, or an extension can't be loaded.
        OperatorError: The database can't be used, or the tests of policies can't be read.
    """
    settings = settings or load_settings()
    configure_logging(settings.log_level, settings.log_style)
    loaded = load_extensions(settings, extensions)
    database = Database.open(settings)
    hasher = create_hasher(settings.hash_cost)
    services = Services.from_settings(
        database, settings, clock, hasher, hooks=loaded.hooks, root_fields=loaded.root_fields
    )
    tracer = tracer or create_tracer(settings)
    if tracer.is_enabled:
        database.trace(tracer)
    services = replace(services, policy_tests=load_policy_tests(settings), tracer=tracer)
    services = services.with_registry(BUILT_IN, UNKNOWN_SCHEMA)  # the first statement finds out what it is
    outbox_worker, retention_job = OutboxWorker(services), RetentionJob(services)
    directus_cache_job, access_expiry_job = DirectusCacheJob(services), AccessExpiryJob(services)
    outbox_metrics = OutboxMetrics(services)
    register_readings(services)
    exporter = MetricsExporter(services.metrics, SharedFolder.from_environment())
    authenticator = Authenticator(signing_secret(settings), settings.session_cookie_name, settings.ip_trust_proxy)
    realtime = _create_realtime(services, authenticator) if settings.websockets_enabled else None
    streams = None if realtime is None else realtime.streams

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        _log_warnings(settings)
        _tune_interpreter()
        with suppress(ServiceUnavailable):  # the first request that finds the database loads it then
            await app.refresh_schema()
        try:
            async with (
                database.checking_replicas(),
                hasher.running(),
                services.last_access.running(settings.last_access_interval),
                outbox_worker.running(),
                retention_job.running(),
                directus_cache_job.running(),
                access_expiry_job.running(),
                _running_metrics(settings, outbox_metrics, exporter),
                running_extensions(loaded, services),
                nullcontext() if realtime is None else realtime.hub.running(),
            ):
                services.lifecycle.phase = Phase.READY
                with drained_before_termination(app.drain, settings.shutdown_delay):
                    yield
        finally:
            await services.identity_providers.close()
            await services.rates.dispose()
            await database.dispose()
            await asyncio.to_thread(tracer.shut_down)

    def build_endpoints(services: Services) -> tuple[dict[str, Endpoint], dict[str, UploadEndpoint]]:
        endpoints = _create_endpoints(services, authenticator, streams)
        endpoints |= _extension_endpoints(loaded, services, authenticator)
        if settings.metrics_token is not None:
            endpoints[METRICS] = MetricsEndpoint(settings.metrics_token, exporter)
        return endpoints, {FILES: FileUploadEndpoint(services, authenticator)}

    endpoints, uploads = build_endpoints(services)
    app = RollcallApp(endpoints, Router(lifespan=lifespan), services, authenticator, uploads, build_endpoints, realtime)
    return app


def _create_realtime(services: Services, authenticator: Authenticator) -> Realtime:
    # What is imported here takes a MB that servers without realtime do not need.
    from app.flows.realtime.hub import RealtimeHub  # noqa: PLC0415
    from app.http.realtime.realtime_connections import RealtimeConnections  # noqa: PLC0415
    from app.http.realtime.subscription_streams import SubscriptionStreams  # noqa: PLC0415

    hub, settings = RealtimeHub(services), services.settings
    hub.register_readings()
    connections = RealtimeConnections(authenticator, settings)
    streams = SubscriptionStreams(hub, authenticator, settings, connections)
    return Realtime(hub, connections, streams if settings.websockets_graphql_enabled else None)


def _create_gateway(
    realtime: Realtime, authenticator: Authenticator, settings: Settings, limiter: RequestLimiter | None
) -> "WebSocketGateway":
    from app.http.websocket.gateway import WebSocketGateway  # noqa: PLC0415  # as above

    return WebSocketGateway(realtime.hub, authenticator, settings, limiter, realtime.connections)


@cache
def _tune_interpreter() -> None:
    """Adjust garbage collection, once per process: it may start several applications."""
    gc.collect()
    gc.freeze()  # what exists now stays alive: scanning it again and again would slow the slowest requests
    gc.set_threshold(GC_GENERATION0_THRESHOLD, *gc.get_threshold()[1:])


def _create_endpoints(
    services: Services, authenticator: Authenticator, streams: "SubscriptionStreams | None"
) -> dict[str, Endpoint]:
    """Return the endpoints by path prefix, the more specific ones first."""
    endpoints: dict[str, Endpoint] = {
        GRAPHQL: GraphQLEndpoint(services, authenticator, streams),
        AUTH: auth_endpoint(services, authenticator),
        **dict.fromkeys(ACCOUNT_ROOTS, account_endpoint(services, authenticator)),
        **dict.fromkeys((EXPLAIN, SIMULATE, WHO_CAN), access_endpoint(services, authenticator)),
    }
    for collection in services.registry.values():
        endpoint = CollectionEndpoint(collection, services, authenticator, read_only=not collection.writable)
        endpoints[f"/{collection.short_name}"] = endpoint
    endpoints[ASSETS] = AssetsEndpoint(services, authenticator)
    endpoints |= dict.fromkeys(SYSTEM_API_ROOTS, SystemAPIEndpoint(services, authenticator))
    endpoints |= dict.fromkeys(SERVER_ROOTS, ServerEndpoints(services, authenticator))
    if services.settings.studio:
        del endpoints[VERIFIED_USERS]  # the Studio has pages of users
        endpoints[STUDIO] = StudioEndpoint(services, authenticator)
    return endpoints


@asynccontextmanager
async def _running_metrics(settings: Settings, outbox: OutboxMetrics, exporter: MetricsExporter) -> AsyncIterator[None]:
    """Update and expose the metrics, if the settings enable them; the parent of several processes serves their port."""
    async with AsyncExitStack() as stack:
        if settings.has_metrics:
            await stack.enter_async_context(outbox.running())
            await stack.enter_async_context(exporter.running())
        if settings.metrics_port is not None and exporter.is_alone:
            from app.metrics.exposition import metrics_server  # noqa: PLC0415  # takes a MB of memory

            server = metrics_server(settings.metrics_host, settings.metrics_port, exporter.current)
            stack.enter_context(server)
        yield


def _extension_endpoints(
    extensions: Extensions, services: Services, authenticator: Authenticator
) -> dict[str, Endpoint]:
    """Return the endpoints of extensions by path prefix."""
    return {
        root: ExtensionEndpoint(services, authenticator, [route for route in extensions.routes if route.root == root])
        for root in dict.fromkeys(route.root for route in extensions.routes)
    }


def _log_warnings(settings: Settings) -> None:
    if settings.secret is None and not settings.is_sqlite:
        hint = "SECRET is not set, so data/secret is used. Set it to the same value on all nodes."
        log.warning("secret_not_configured", hint=hint)
    if settings.cors_enabled and settings.cors_origin is True and settings.cors_credentials:
        hint = "CORS_ORIGIN is true, so pages of other origins can't send cookies. List the origins that may."
        log.warning("cors_credentials_disabled", hint=hint)
    if settings.email_transport == "log" and not settings.is_sqlite:
        hint = "EMAIL_TRANSPORT is log: mail is not sent, its links are written to the log."
        log.warning("mail_transport_is_log", hint=hint)
