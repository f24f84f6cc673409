"""The ASGI middleware around every endpoint: request id, access log, CORS, rate limit, errors, dispatch."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol, runtime_checkable

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.cache import LRUCache
from app.core.config import Settings
from app.core.errors import (
    SCHEMA_CHANGED,
    RequestsExceeded,
    RollcallError,
    RouteNotFound,
    SchemaChanged,
    ServiceUnavailable,
)
from app.core.logging import current_request
from app.core.watchdog import Watchdog
from app.http.admission import Admission
from app.http.admission_queue import AdmissionQueue
from app.http.authentication import Authenticator
from app.http.cors import Cors
from app.http.csrf import CsrfCheck
from app.http.endpoint_paths import PROBES, EndpointPaths, match_prefix, normalize_path
from app.http.exchange import BodyReader, ChunkReader, Exchange
from app.http.request_head import RequestHead
from app.http.response import Header, Response, error_response
from app.metrics.instruments import Durations, RequestRecorder
from app.metrics.metrics import Metrics
from app.query.filter import UnknownField
from app.ratelimit.limiter import RateLimiter
from app.tracing.tracer import Tracer

Endpoint = Callable[[Scope, RequestHead, BodyReader], Awaitable[Response]]
"""Answers a request; reads its body only when it needs it."""
UploadEndpoint = Callable[[Scope, RequestHead, ChunkReader], Awaitable[Response]]
"""Answers a request with a body of any length: reads it chunk by chunk and enforces its own limit."""
RequestLimiter = Callable[[RequestHead], Awaitable[None]]
"""Counts a request; raises RequestsExceeded when it is over the limit."""
ErrorHeaders = Callable[[RollcallError, RequestHead], Awaitable[Sequence[Header]]]
"""Returns additional headers for an error response."""

UPLOAD_METHODS = ("POST", "PATCH")
HTML_MEDIA_TYPE = b"text/html"
MAX_SCHEMA_ATTEMPTS = 3
"""How often a request is answered again because the fields of the directory have changed meanwhile."""
MAX_COUNTED_PATHS, MAX_COUNTED_LENGTH = 500, 200
"""The number of paths, and their length, of which it is cached under which name they are counted."""
CONNECTION_CLOSE = (b"connection", b"close")
NOT_DIRECT = (None, None)
CLIENT_LEFT_STATUS = 499
"""The status under which requests without a response are counted, as in the log of nginx."""
WATCH_AFTER_SECONDS = 0.25
"""How long a request must have been running before its client is watched: almost all end earlier."""

log = structlog.get_logger(__name__)


def hsts_headers(settings: Settings) -> tuple[Header, ...]:
    """Return the HSTS header if the settings enable it; without includeSubDomains, as other hosts have other owners."""
    header = (b"strict-transport-security", b"max-age=%d" % settings.hsts_max_age)
    return (header,) if settings.hsts_enabled else ()


def request_limiter(rates: RateLimiter, authenticator: Authenticator, metrics: Metrics) -> RequestLimiter | None:
    """Return a limiter that counts requests by client IP, or None if requests are not limited."""

    async def limit(head: RequestHead) -> None:
        try:
            await rates.check_request(authenticator.client_ip(head))
        except RequestsExceeded:
            metrics.rejections.add("rate_limit")
            raise

    return limit if rates.limits_requests else None


@runtime_checkable
class PageEndpoint(Protocol):
    """An endpoint for people: browsers get a page also if an error keeps their request from it."""

    async def error_response(self, scope: Scope, head: RequestHead, error: RollcallError) -> Response:
        """Return the page of an error; it must not need the database."""
        ...


class MiddlewareOptions(NamedTuple):
    """What the middleware does with each request, to whichever endpoint, besides dispatching it."""

    limiter: RequestLimiter | None = None
    cors: Cors | None = None
    csrf_check: CsrfCheck | None = None
    error_headers: ErrorHeaders | None = None
    default_headers: Sequence[Header] = ()
    """Headers of every response."""
    log_requests: bool = True
    recorder: RequestRecorder | None = None
    """Where requests are counted, if at all."""
    tracer: Tracer | None = None
    """What creates a span for each request, if anything."""
    admission: Admission | None = None
    """What bounds the requests that run at once, if anything."""
    websockets: ASGIApp | None = None
    """Serves WebSocket connections; without it they are rejected."""


class HTTPMiddleware:
    """Dispatches requests to endpoints by path prefix and turns exceptions into responses.

    A `RollcallError` is sent as it is; any other exception becomes a 500 whose request id appears in the log, never its
    text. It hands `max_body_size` to the exchange, which rejects a larger body while it is read; multipart requests to
    the `uploads` endpoints are exempt. Responses to requests with credentials get `no-store`, all others
    `no-cache`; every response gets `nosniff`. The request id is returned if the client sent one, and with every error.

    Scopes other than HTTP go to `lifespan`: it starts and stops the application and closes WebSocket connections,
    unless these are enabled.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        lifespan: ASGIApp,
        max_body_size: int,
        options: MiddlewareOptions = MiddlewareOptions(),  # noqa: B008  # immutable
        uploads: Mapping[str, UploadEndpoint] | None = None,
    ) -> None:
        self._lifespan, self._max_body_size = lifespan, max_body_size
        self._limiter, self._cors, self._csrf_check = options[:3]
        self._error_headers, self._default_headers, self._log_requests = options[3:6]
        self._recorder, self._tracer = options.recorder, options.tracer
        self._admission = options.admission or Admission.unlimited()
        self._by_scope_type = {} if options.websockets is None else {"websocket": options.websockets}
        self._reports = bool(self._log_requests or self._recorder)
        self._unconditional = self._cors is None and self._limiter is None
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop since the start of the application: to look it up for each request takes time."""
        self._generation = 0
        """How often the endpoints were replaced."""
        self.use_endpoints(endpoints, uploads or {})
        self._running: Watchdog[Exchange] = Watchdog(WATCH_AFTER_SECONDS, self._handle_slow, WATCH_AFTER_SECONDS)

    def use_endpoints(self, endpoints: Mapping[str, Endpoint], uploads: Mapping[str, UploadEndpoint]) -> None:
        """Dispatch requests to these endpoints from now on."""
        self.endpoints, self._uploads = endpoints, uploads
        self._paths = EndpointPaths(endpoints)
        self._durations: LRUCache[tuple[str, str, int], Durations] = LRUCache(MAX_COUNTED_PATHS)
        direct = endpoints.keys() - uploads.keys() if self._unconditional else ()
        self._direct: Mapping[str, tuple[Endpoint | None, AdmissionQueue | None]] = {
            path: (endpoints[path], self._admission.queue_of({"path": path})) for path in direct
        }
        """Endpoints that are called without `_dispatch` when a request names exactly their path, and their queues."""
        self._generation += 1

    def drain(self) -> None:
        """Ask clients to open a new connection for their next request; every request is still answered."""
        self._default_headers = (*self._default_headers, CONNECTION_CLOSE)

    async def refresh_schema(self) -> None:
        """Replace the endpoints if the fields of the directory have changed; by default they never do."""

    # Another coroutine for a part of this would cost every request a few percent.
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: C901, PLR0912
        if scope["type"] != "http":
            self._loop = asyncio.get_running_loop()
            await self._by_scope_type.get(scope["type"], self._lifespan)(scope, receive, send)
            return
        started, generation = time.perf_counter(), self._generation
        span = None if self._tracer is None else self._tracer.request(scope["method"], scope["headers"])
        if span is not None:  # no `with`, because few requests have one
            span.__enter__()
        exchange = Exchange(scope, receive, send, self._max_body_size, self._default_headers, self._loop)
        current_request.set(exchange)  # never reset: a server runs each request in a context of its own
        self._running.track(exchange)
        exchange.admission = self._admission
        endpoint, queue = self._direct.get(scope["path"], NOT_DIRECT)
        if endpoint is None:
            queue = self._admission.queue_of(scope)
        try:
            if queue is not None:
                if queue.running < queue.max_shared:  # as `Exchange.starts_at_once`, without a call
                    queue.running += 1
                    exchange.queue = queue
                else:
                    await self._wait_for_turn(exchange, queue)
            if endpoint is None:
                response = await self._dispatch(scope, exchange)
            else:
                if exchange.head.cookie and self._csrf_check is not None:
                    self._csrf_check(scope, exchange.head)
                response = await endpoint(scope, exchange.head, exchange.body)
            await (
                exchange.respond(response)
                if response.error is None
                else self._respond_with_error(exchange, response, response.error)
            )
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            if not exchange.was_abandoned():
                raise
        except Exception as error:  # noqa: BLE001  # every request needs a response
            await self._recover(scope, exchange, error, generation)
        finally:
            self._running.untrack(exchange)
            exchange.close()
            if self._reports or span is not None:
                self._report(scope, exchange, (exchange.answered_at or time.perf_counter()) - started)
            if span is not None:
                span.__exit__(*sys.exc_info())

    async def _wait_for_turn(self, exchange: Exchange, queue: AdmissionQueue) -> None:
        if self._cors is not None:  # also pages of other origins should read why a request is rejected
            exchange.extra_headers = (*self._default_headers, *self._cors.response_headers(exchange.head))
        await self._admission.enter(exchange, queue)

    def _handle_slow(self, exchange: Exchange) -> None:
        """Watch whether the client of a slow request leaves; let others run while its body arrives."""
        exchange.watch_client()
        self._admission.suspend(exchange)

    def _report(self, scope: Scope, exchange: Exchange, elapsed: float) -> None:
        """Count and log a request that has ended."""
        status = exchange.status or CLIENT_LEFT_STATUS
        if self._recorder is not None:
            self._record(self._recorder, scope, status, elapsed)
        if self._tracer is not None:
            self._tracer.describe_request(*self._paths.labels(scope), status)
        if self._log_requests:
            milliseconds = round(elapsed * 1000, 1)
            # The query string is not logged: it may contain an access token.
            log.info("request", method=scope["method"], path=scope["path"], status=exchange.status, ms=milliseconds)

    def _record(self, recorder: RequestRecorder, scope: Scope, status: int, elapsed: float) -> None:
        key = (scope["path"], scope["method"], status)
        durations = self._durations.get(key, None)
        if durations is None:
            durations = recorder.durations(*self._paths.labels(scope), status)
            if len(scope["path"]) <= MAX_COUNTED_LENGTH:
                self._durations.set(key, durations)
        durations.observe(elapsed)

    async def _recover(self, scope: Scope, exchange: Exchange, error: Exception, generation: int) -> None:
        """Answer a request again if the fields of the directory have changed since; else respond with its error."""
        for _ in range(MAX_SCHEMA_ATTEMPTS):
            try:
                if exchange.status or not await self._is_outdated(error, generation):
                    break
                if exchange.head.multipart:  # its body can't be read again
                    error = SchemaChanged()
                    break
                generation = self._generation
                response = await self._dispatch(scope, exchange)
            except ClientDisconnect:
                return
            except Exception as another:  # noqa: BLE001  # handled like that of the first attempt
                error = another
            else:
                await self._respond(exchange, response)
                return
        await self._handle_error(scope, exchange, error)

    async def _is_outdated(self, error: Exception, generation: int) -> bool:
        """Return whether a request failed with endpoints that are replaced by now."""
        if not isinstance(error, SchemaChanged | UnknownField):
            return False
        await self.refresh_schema()
        return generation != self._generation

    async def _respond(self, exchange: Exchange, response: Response) -> None:
        await (
            exchange.respond(response)
            if response.error is None
            else self._respond_with_error(exchange, response, response.error)
        )

    async def _dispatch(self, scope: Scope, exchange: Exchange) -> Response:
        head = exchange.head
        if self._cors is not None:
            if preflight := self._cors.preflight_response(scope, head):
                return preflight
            exchange.extra_headers = (*self._default_headers, *self._cors.response_headers(head))
        if self._limiter is not None and scope["path"] not in PROBES:
            await self._limiter(head)
        if self._csrf_check is not None:
            self._csrf_check(scope, head)
        normalized = normalize_path(scope)
        if head.multipart and scope["method"] in UPLOAD_METHODS and (upload := match_prefix(self._uploads, normalized)):
            return await upload(normalized, head, exchange.chunks)
        if endpoint := match_prefix(self.endpoints, normalized):
            return await endpoint(normalized, head, exchange.body)
        raise RouteNotFound(scope["path"])

    async def _respond_with_error(self, exchange: Exchange, response: Response, error: RollcallError) -> None:
        if self._error_headers is not None:
            headers = await self._error_headers(error, exchange.head)
            response = replace(response, headers=(*response.headers, *headers))
        await exchange.respond(response)

    async def _handle_error(self, scope: Scope, exchange: Exchange, error: Exception) -> None:
        if isinstance(error, RouteNotFound):
            public: RollcallError = RouteNotFound(scope["path"])  # as requested, not normalized
        elif isinstance(error, SchemaChanged):
            public = ServiceUnavailable(SCHEMA_CHANGED)
        elif isinstance(error, RollcallError):
            public = error
        else:
            log.error("request_failed", exc_info=error)
            public = RollcallError()
        if exchange.status:
            log.error("response_aborted", code=public.code)
            raise error
        await self._respond_with_error(exchange, await self._error_response(scope, exchange.head, public), public)

    async def _error_response(self, scope: Scope, head: RequestHead, error: RollcallError) -> Response:
        """Return an error as JSON, or as a page if a browser asks an endpoint for people."""
        endpoint = match_prefix(self.endpoints, normalize_path(scope)) if HTML_MEDIA_TYPE in head.accept else None
        if isinstance(endpoint, PageEndpoint):
            return await endpoint.error_response(scope, head, error)
        return error_response(error)
