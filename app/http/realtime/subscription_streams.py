"""GraphQL subscriptions as server-sent events: a stream per request, the "distinct connections mode" of graphql-sse."""

import asyncio
import time
from typing import Any, Self

import orjson
import structlog
from starlette.types import Scope

from app.core.config import Settings
from app.core.errors import Forbidden, RollcallError, ServiceUnavailable
from app.flows.realtime.hub import RealtimeHub
from app.flows.realtime.membership import HubMember
from app.graphql.subscriptions import GraphQLRequest
from app.http.authentication import Authenticator
from app.http.graphql_media import EVENT_STREAM
from app.http.graphql_request import GraphQLParams
from app.http.realtime.event_stream import COMPLETE, UNBUFFERED, EventStream, next_event
from app.http.realtime.graphql_subscription import ResultReceiver, start_subscription
from app.http.realtime.realtime_client import RealtimeClient
from app.http.realtime.realtime_connections import RealtimeConnections, ServiceConnections
from app.http.request_head import RequestHead
from app.http.response import Response
from app.http.server_state import CONNECTION, ConnectionOptions

PUBLIC = "public"

log = structlog.get_logger(__name__)


class SubscriptionStreams:
    """Opens streams of subscriptions, whose clients authenticate by the request."""

    def __init__(
        self, hub: RealtimeHub, authenticator: Authenticator, settings: Settings, connections: RealtimeConnections
    ) -> None:
        self._hub, self._authenticator, self._settings, self._connections = hub, authenticator, settings, connections

    async def open(self, scope: Scope, head: RequestHead, params: GraphQLParams) -> Response:
        """Return the results of a subscription as a stream; what is wrong with the subscription is one of them.

        Raises:
            Forbidden: The request has no credentials and needs some, or comes from a page of an unknown origin.
            ServiceUnavailable: There are too many connections, or the database is unavailable.
            RollcallError: The credentials are invalid, as in `RealtimeClient.authenticate`.
        """
        is_anonymous = self._authenticator.credentials(head).caller.anonymous
        if is_anonymous and self._settings.websockets_graphql_auth != PUBLIC:
            raise Forbidden
        self._connections.check_origin(scope, head)
        options: ConnectionOptions | None = scope.get("state", {}).get(CONNECTION)
        if options is not None:
            options.max_stall_seconds = float(self._settings.websockets_heartbeat_period)
        stream = SubscriptionStream(scope["path"], self._hub, self._settings, self._connections.graphql)
        users = self._connections.users
        client = RealtimeClient(self._hub, self._authenticator, head, users, stream.fail, stream.expire)
        await stream.subscribe(client, GraphQLRequest(*params))
        return Response(b"", 200, EVENT_STREAM, (UNBUFFERED,), no_store=True, stream=stream, is_endless=True)


class SubscriptionStream:
    """The events of one subscription. It counts as a connection until it is closed, whether it was read or not."""

    def __init__(self, path: str, hub: RealtimeHub, settings: Settings, connections: ServiceConnections) -> None:
        self._path, self._hub, self._connections = path, hub, connections
        self._events = EventStream(settings.websockets_max_queue, settings.websockets_heartbeat_period)
        self._starting: asyncio.Task[None] | None = None
        self._client: RealtimeClient | None = None
        self._opened = time.perf_counter()
        connections.enter()

    async def subscribe(self, client: RealtimeClient, request: GraphQLRequest) -> None:
        """Authenticate a client by its request, and start its subscription in the background.

        If that fails, the stream is closed; raises as `RealtimeClient`.
        """
        self._client = client
        try:
            await client.authenticate_by_head()
        except BaseException:
            self._close(client)
            raise
        self._starting = asyncio.create_task(self._subscribe(client.member, request))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        event = await self._events.next()
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """End the subscription, and free what belongs to it."""
        if self._client is not None:
            self._close(self._client)
            seconds = round(time.perf_counter() - self._opened, 1)
            reason = self._events.end_reason or "client_left"
            log.info("event_stream_closed", path=self._path, reason=reason, seconds=seconds)

    def _close(self, client: RealtimeClient) -> None:
        self._client = None
        if self._starting is not None:
            self._starting.cancel()
        client.leave()
        self._connections.leave()

    async def _subscribe(self, member: HubMember, request: GraphQLRequest) -> None:
        try:
            await start_subscription(self._hub, member, request, ResultReceiver(self._send, self.fail))
        except RollcallError as error:
            self.fail(error)
        except Exception:
            log.exception("subscription_failed")
            self.fail(RollcallError())

    def _send(self, result: orjson.Fragment | dict[str, Any]) -> None:
        self._events.post(next_event(orjson.dumps(result)))

    def fail(self, error: RollcallError) -> None:
        """End the stream with an error; without one if the client should connect again, which it does by itself."""
        if isinstance(error, ServiceUnavailable):
            self._events.end("unavailable")
        else:
            self._send({"errors": error.entries()})
            self._events.post(COMPLETE)
            self._events.end("error")

    def expire(self) -> None:
        """End the stream, so that the client connects again, with another token."""
        self._events.end("token_expired")
