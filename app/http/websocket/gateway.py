"""The entry of WebSocket connections: which paths accept them, from whom, and how many."""

import asyncio
import time
from typing import NamedTuple, Protocol

import structlog
from starlette.types import Receive, Scope, Send

from app.core.config import Settings
from app.core.errors import Forbidden, RequestsExceeded, RollcallError, RouteNotFound
from app.core.logging import current_request
from app.flows.realtime.hub import RealtimeHub
from app.flows.server_info import GRAPHQL_PATH, WEBSOCKET_PATH
from app.http.authentication import Authenticator
from app.http.realtime.realtime_client import RealtimeClient, RequestLimiter
from app.http.realtime.realtime_connections import RealtimeConnections, ServiceConnections
from app.http.request_head import RequestHead
from app.http.websocket.directus_transport import DirectusTransport
from app.http.websocket.graphql_transport import PROTOCOL, GraphQLTransport
from app.http.websocket.websocket_connection import CloseCode, WebSocketConnection

HTTP_SCHEMES = {"ws": "http", "wss": "https"}
STRICT = "strict"

log = structlog.get_logger(__name__)


class WebSocketTransport(Protocol):
    """A protocol on one connection."""

    async def run(self, client: RealtimeClient) -> None:
        """Serve a client until it disconnects."""
        ...

    def closed(self, error: RollcallError) -> None:
        """Close the connection for a reason."""
        ...

    def expired(self) -> None:
        """Handle that the client's token has expired."""
        ...


class Service(NamedTuple):
    """A path that accepts connections: when its clients authenticate, and those that are open."""

    auth: str
    connections: ServiceConnections
    subprotocol: str | None


class WebSocketGateway:
    """Accepts connections and runs their protocol."""

    def __init__(
        self,
        hub: RealtimeHub,
        authenticator: Authenticator,
        settings: Settings,
        limiter: RequestLimiter | None,
        connections: RealtimeConnections,
    ) -> None:
        self._hub, self._authenticator, self._settings, self._limiter = hub, authenticator, settings, limiter
        self._connections = connections
        self._services = dict(_services(settings, connections))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        head = RequestHead(scope)
        current_request.set(head)
        await receive()  # the event that the client connects
        try:
            service = await self._accepting_service(scope, head)
        except RollcallError as error:
            await _reject(scope, send, error)
            return
        try:
            await self._serve(service, scope, head, receive, send)
        finally:
            service.connections.leave()

    async def _accepting_service(self, scope: Scope, head: RequestHead) -> Service:
        """Return the service that a connection asks for, which counts it, if it can be accepted from any client."""
        service = self._services.get(scope["path"].removeprefix(scope.get("root_path", "")).lower().rstrip("/"))
        if service is None:
            raise RouteNotFound(scope["path"])
        if self._limiter is not None:
            await self._limiter(head)
        self._connections.check_origin({**scope, "scheme": HTTP_SCHEMES.get(scope.get("scheme", "ws"), "http")}, head)
        service.connections.enter()
        return service

    async def _serve(self, service: Service, scope: Scope, head: RequestHead, receive: Receive, send: Send) -> None:
        slow_clients = self._hub.services.metrics.realtime_slow_clients
        connection = WebSocketConnection(receive, send, self._settings, slow_clients)
        transport = _transport(service, connection, self._hub, self._settings, head)
        users = self._connections.users
        client = RealtimeClient(
            self._hub, self._authenticator, head, users, transport.closed, transport.expired, self._limiter
        )
        started = time.perf_counter()
        try:
            try:
                if head.has_credentials or service.auth == STRICT:
                    await self._authenticate_by_head(service, head, client)
                if not client.is_authenticated:
                    client.wait_in(service.connections.unknown)
            except RollcallError as error:
                await _reject(scope, send, error)
                return
            if service.subprotocol is not None and service.subprotocol not in scope.get("subprotocols", ()):
                await send({"type": "websocket.accept"})
                connection.close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
                await connection.write_forever()
                return
            await send({"type": "websocket.accept", "subprotocol": service.subprotocol})
            await _run(connection, transport, client)
        finally:
            client.leave()
            seconds = round(time.perf_counter() - started, 1)
            log.info("websocket_closed", path=scope["path"], code=connection.code, seconds=seconds)

    async def _authenticate_by_head(self, service: Service, head: RequestHead, client: RealtimeClient) -> None:
        """Authenticate a client by the token in its request, which it must contain if the mode is strict."""
        credentials = self._authenticator.credentials(head)
        if not credentials.caller.anonymous:
            await client.authenticate_by_head()
        elif service.auth == STRICT:
            raise Forbidden


def _transport(
    service: Service, connection: WebSocketConnection, hub: RealtimeHub, settings: Settings, head: RequestHead
) -> WebSocketTransport:
    if service.subprotocol is not None:
        return GraphQLTransport(connection, hub, settings)
    return DirectusTransport(connection, hub, settings, head.client_info)


async def _run(connection: WebSocketConnection, transport: WebSocketTransport, client: RealtimeClient) -> None:
    """Run a protocol until either side closes the connection."""
    tasks = [asyncio.create_task(connection.write_forever()), asyncio.create_task(transport.run(client))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        writer, reader = tasks
        if reader.done() and connection.is_closing:
            await asyncio.wait([writer])
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, OSError):
            log.error("websocket_failed", exc_info=result)


async def _reject(scope: Scope, send: Send, error: RollcallError) -> None:
    """Answer the request for a connection with an error over HTTP, if the server can, and without a connection."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": int(CloseCode.FORBIDDEN)})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if isinstance(error, RequestsExceeded):
        headers.append((b"retry-after", b"1"))
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": error.text.encode()})


def _services(settings: Settings, connections: RealtimeConnections) -> list[tuple[str, Service]]:
    """Return the paths that the settings enable."""
    services = []
    if settings.websockets_enabled and settings.websockets_graphql_enabled:
        services.append((GRAPHQL_PATH, Service(settings.websockets_graphql_auth, connections.graphql, PROTOCOL)))
    if settings.websockets_enabled and settings.websockets_rest_enabled:
        services.append((WEBSOCKET_PATH, Service(settings.websockets_rest_auth, connections.directus, None)))
    return services
