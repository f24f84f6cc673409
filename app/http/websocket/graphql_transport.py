"""The protocol graphql-transport-ws, for subscriptions only.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from functools import partial
from typing import Any

import orjson
import structlog

from app.core.config import Settings
from app.core.errors import InvalidPayload, RollcallError, ServiceUnavailable
from app.flows.realtime.hub import RealtimeHub
from app.flows.realtime.membership import Subscription
from app.graphql.subscriptions import GraphQLRequest
from app.http.realtime.graphql_subscription import ResultReceiver, start_subscription
from app.http.realtime.realtime_client import RealtimeClient
from app.http.websocket.websocket_connection import CloseCode, WebSocketConnection

PROTOCOL = "graphql-transport-ws"
MAX_ID_LENGTH = 256
MAX_REASON_LENGTH = 100
"""Number of characters of a reason, which must fit into 123 bytes."""

log = structlog.get_logger(__name__)


class GraphQLTransport:
    """Serves the subscriptions of one connection."""

    def __init__(self, connection: WebSocketConnection, hub: RealtimeHub, settings: Settings) -> None:
        self._connection, self._hub, self._settings = connection, hub, settings
        self._subscriptions: dict[str, Subscription | None] = {}
        """By id; None while one is being started."""
        self._starting: set[asyncio.Task[None]] = set()

    async def run(self, client: RealtimeClient) -> None:
        """Serve a client until it disconnects."""
        try:
            if await self._initialize(client):
                await self._serve(client)
        except InvalidPayload as error:
            self._connection.close(CloseCode.BAD_REQUEST, error.text[:MAX_REASON_LENGTH])
        finally:
            for task in self._starting:
                task.cancel()

    def closed(self, error: RollcallError) -> None:
        """Close the connection, because the client's credentials have become invalid, or the server must be left."""
        if isinstance(error, ServiceUnavailable):
            self._connection.close(CloseCode.RESTART, error.text[:MAX_REASON_LENGTH])
        else:
            self._connection.close(CloseCode.FORBIDDEN, "Forbidden")

    def expired(self) -> None:
        """Close the connection, because the client's token has expired: it can't be renewed in this protocol."""
        self._connection.close(CloseCode.FORBIDDEN, "Token expired")

    async def _initialize(self, client: RealtimeClient) -> bool:
        """Wait for `connection_init`, and return whether the client has been acknowledged."""
        try:
            async with asyncio.timeout(self._settings.websockets_graphql_auth_timeout):
                message = await self._connection.read()
                while message is not None and message.get("type") in ("ping", "pong"):
                    self._answer_ping(message)
                    message = await self._connection.read()
        except TimeoutError:
            self._connection.close(CloseCode.INIT_TIMEOUT, "Connection initialisation timeout")
            return False
        if message is None:
            return False
        if message.get("type") == "subscribe":
            self._connection.close(CloseCode.UNAUTHORIZED, "Unauthorized")
            return False
        if message.get("type") != "connection_init":
            raise InvalidPayload('The first message has to be "connection_init"')
        return await self._authenticate(client, message.get("payload"))

    async def _authenticate(self, client: RealtimeClient, payload: Any) -> bool:
        token = payload.get("access_token") if isinstance(payload, dict) else None
        if token is not None and not isinstance(token, str):
            raise InvalidPayload('"access_token" has to be a string')
        try:
            if token or not client.is_authenticated:
                if not token and self._settings.websockets_graphql_auth != "public":
                    self._connection.close(CloseCode.FORBIDDEN, "Forbidden")
                    return False
                await client.authenticate(token)
        except InvalidPayload:
            raise
        except ServiceUnavailable as error:
            self._connection.close(CloseCode.TRY_AGAIN_LATER, error.text[:MAX_REASON_LENGTH])
            return False
        except RollcallError:
            self._connection.close(CloseCode.FORBIDDEN, "Forbidden")
            return False
        self._connection.post({"type": "connection_ack"})
        return True

    async def _serve(self, client: RealtimeClient) -> None:
        while (message := await self._connection.read()) is not None:
            match message.get("type"):
                case "subscribe":
                    self._start(client, message)
                case "complete":
                    self._stop(_id_of(message))
                case "ping":
                    self._answer_ping(message)
                case "pong":
                    pass
                case "connection_init":
                    self._connection.close(CloseCode.TOO_MANY_INIT_REQUESTS, "Too many initialisation requests")
                case _:
                    raise InvalidPayload("A message has an unknown type")

    def _answer_ping(self, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            payload = {"payload": message["payload"]} if isinstance(message.get("payload"), dict) else {}
            self._connection.post({"type": "pong", **payload})

    def _start(self, client: RealtimeClient, message: dict[str, Any]) -> None:
        id_, request = _id_of(message), _request_of(message.get("payload"))
        if id_ in self._subscriptions:
            self._connection.close(
                CloseCode.SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {id_} already exists"[:MAX_REASON_LENGTH]
            )
            return
        if len(self._subscriptions) >= self._settings.websockets_max_subscriptions:
            self._fail(id_, ServiceUnavailable("Too many subscriptions on this connection"))
            return
        self._subscriptions[id_] = None
        task = asyncio.create_task(self._subscribe(client, id_, request))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _subscribe(self, client: RealtimeClient, id_: str, request: GraphQLRequest) -> None:
        receiver = ResultReceiver(partial(self._send, id_), partial(self._end, id_))
        try:
            await client.count_request()
            subscription = await start_subscription(self._hub, client.member, request, receiver)
        except ServiceUnavailable as error:  # clients connect again by themselves, but do not repeat a failed operation
            self._connection.close(CloseCode.TRY_AGAIN_LATER, error.text[:MAX_REASON_LENGTH])
        except RollcallError as error:
            self._fail(id_, error)
        except Exception:
            log.exception("subscription_failed")
            self._fail(id_, RollcallError())
        else:
            if id_ in self._subscriptions:
                self._subscriptions[id_] = subscription
            else:  # the client has completed it meanwhile
                self._hub.unsubscribe(subscription)

    def _stop(self, id_: str) -> None:
        subscription = self._subscriptions.pop(id_, None)
        if subscription is not None:
            self._hub.unsubscribe(subscription)

    def _send(self, id_: str, result: orjson.Fragment) -> None:
        self._connection.post({"id": id_, "type": "next", "payload": result})

    def _end(self, id_: str, error: RollcallError) -> None:
        """Send why a subscription has ended."""
        if isinstance(error, ServiceUnavailable):
            self._connection.close(CloseCode.RESTART, error.text[:MAX_REASON_LENGTH])
        else:
            self._fail(id_, error)

    def _fail(self, id_: str, error: RollcallError) -> None:
        self._subscriptions.pop(id_, None)
        self._connection.post({"id": id_, "type": "error", "payload": error.entries()})


def _id_of(message: dict[str, Any]) -> str:
    id_ = message.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_ID_LENGTH:
        raise InvalidPayload(f'"id" has to be a string of at most {MAX_ID_LENGTH} characters')
    return id_


def _request_of(payload: Any) -> GraphQLRequest:
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        raise InvalidPayload('"payload" has to be an object with a "query"')
    variables, name = payload.get("variables"), payload.get("operationName")
    if not isinstance(variables, dict | None) or not isinstance(name, str | None):
        raise InvalidPayload('"variables" has to be an object, and "operationName" a string')
    return GraphQLRequest(payload["query"], variables, name or None)
