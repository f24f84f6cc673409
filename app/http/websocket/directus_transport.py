"""Directus' own protocol, which the SDK's `realtime()` speaks: JSON messages with a `type`, and often a `uid`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Literal

import orjson
import structlog

from app.core.caller import ClientInfoFactory
from app.core.cancellation import background_task
from app.core.config import Settings
from app.core.errors import Forbidden, InvalidPayload, RollcallError, SchemaChanged, ServiceUnavailable
from app.db.replicas import reading_from_primary
from app.flows.realtime.hub import RealtimeHub
from app.flows.realtime.membership import Subscription
from app.flows.realtime.view import CREATE, DELETE, UPDATE, ChangeList, ViewChange
from app.http.realtime.realtime_client import RealtimeClient
from app.http.websocket.item_actions import ITEM_ACTIONS, ItemRequest
from app.http.websocket.websocket_connection import CloseCode, WebSocketConnection
from app.query.collection import Collection
from app.repositories.directory import Directory

Uid = str | int | None
AuthFailure = Literal["AUTH_FAILED", "AUTH_TIMEOUT", "TOKEN_EXPIRED"]
AUTH_MESSAGES: dict[AuthFailure, str] = {
    "AUTH_FAILED": "Authentication failed.",
    "AUTH_TIMEOUT": "Authentication timed out.",
    "TOKEN_EXPIRED": "Token expired.",
}
INVALID_COLLECTION = "The provided collection does not exist or is not accessible."
MAX_UID_LENGTH = 256

log = structlog.get_logger(__name__)


class DirectusTransport:
    """Serves one connection. Its messages are handled one after the other."""

    def __init__(
        self, connection: WebSocketConnection, hub: RealtimeHub, settings: Settings, client_info: ClientInfoFactory
    ) -> None:
        self._connection, self._hub, self._settings, self._client_info = connection, hub, settings, client_info
        self._subscriptions: dict[Uid, Subscription] = {}
        self._client: RealtimeClient | None = None
        self._is_paused = self._has_answered = False
        self._timeout: asyncio.TimerHandle | None = None

    async def run(self, client: RealtimeClient) -> None:
        """Serve a client until it disconnects."""
        self._client = client
        try:
            async with background_task(self._beat(), "websocket_heartbeat"):
                if client.is_authenticated or await self._greet(client):
                    await self._serve(client)
        finally:
            self._stop_timeout()

    def closed(self, error: RollcallError) -> None:
        """Close the connection, because the client's credentials have become invalid, or the server must be left."""
        if isinstance(error, ServiceUnavailable):
            self._connection.close(CloseCode.RESTART, "Connect again")
        else:
            self._refuse("AUTH_FAILED")

    def expired(self) -> None:
        """Send nothing until the client has sent another token."""
        if self._client is not None and self._client.is_authenticated and not self._is_paused:
            self._is_paused = True
            self._client.pause()
            self._post_auth_error("TOKEN_EXPIRED")
            seconds = self._settings.websockets_rest_auth_timeout
            self._timeout = asyncio.get_running_loop().call_later(seconds, self._refuse, "AUTH_TIMEOUT")

    async def _greet(self, client: RealtimeClient) -> bool:
        """Authenticate by the first message if the client has to; return whether it is let in."""
        if self._settings.websockets_rest_auth == "public":
            try:
                await client.authenticate(None)
            except RollcallError as error:
                self.closed(error)
                return False
            return True
        try:
            async with asyncio.timeout(self._settings.websockets_rest_auth_timeout):
                message = await self._read()
        except TimeoutError:
            self._refuse("AUTH_TIMEOUT")
            return False
        if message is None:
            return False
        if message.get("type") != "auth":
            self._refuse("AUTH_FAILED")
            return False
        await self._authenticate(client, message)
        return client.is_authenticated

    async def _serve(self, client: RealtimeClient) -> None:
        while (message := await self._read()) is not None:
            type_, handler = message.get("type"), self._handlers.get(str(message.get("type")))
            if type_ in ("ping", "pong"):
                self._answer_ping(message)
            elif type_ == "auth":
                await self._authenticate(client, message)
            elif self._is_paused:
                self._post_auth_error("TOKEN_EXPIRED")
            elif handler is None:
                self._post_error("server", InvalidPayload("A message has an unknown type"), None)
            else:
                await self._handle(str(type_), handler, client, message)

    @property
    def _handlers(self) -> Mapping[str, Callable[[RealtimeClient, dict[str, Any], Uid], Awaitable[None]]]:
        return {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe, "items": self._act}

    async def _handle(
        self,
        type_: str,
        handler: Callable[[RealtimeClient, dict[str, Any], Uid], Awaitable[None]],
        client: RealtimeClient,
        message: dict[str, Any],
    ) -> None:
        uid = None
        try:
            uid = _uid_of(message)
            await client.count_request()
            await handler(client, message, uid)
        except RollcallError as error:
            self._post_error(type_, error, uid)
        except SchemaChanged:
            self._connection.close(CloseCode.RESTART, "Connect again")
        except Exception:
            log.exception("websocket_failed")
            self._post_error(type_, RollcallError(), uid)

    async def _read(self) -> dict[str, Any] | None:
        """Return the next message; answer those that are not JSON objects with an error."""
        while not self._connection.is_closing:
            try:
                message = await self._connection.read()
            except InvalidPayload as error:
                self._post_error("server", error, None)
            else:
                self._has_answered = True
                return message
        return None

    async def _authenticate(self, client: RealtimeClient, message: dict[str, Any]) -> None:
        token, uid = message.get("access_token"), message.get("uid")
        try:
            if not isinstance(token, str) or not token:
                raise InvalidPayload("access_token has to be a string")
            await client.authenticate(token)
        except ServiceUnavailable:
            self._connection.close(CloseCode.TRY_AGAIN_LATER, "Try again later")
        except RollcallError:
            self._refuse("AUTH_FAILED")
        else:
            self._is_paused = False
            self._stop_timeout()
            self._connection.post({"type": "auth", "status": "ok", **_with_uid(uid)})

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    async def _subscribe(self, client: RealtimeClient, message: dict[str, Any], uid: Uid) -> None:
        collection, query, item = self._collection(message), _query_of(message), message.get("item")
        event = message.get("event")
        if event not in (None, CREATE, UPDATE, DELETE):
            raise InvalidPayload('"event" has to be "create", "update" or "delete"')
        if uid in self._subscriptions:
            raise InvalidPayload("There is a subscription with this uid already")
        if len(self._subscriptions) >= self._settings.websockets_max_subscriptions:
            raise ServiceUnavailable("Too many subscriptions on this connection")
        repository = self._directory(client)[collection.name]
        sink = _MessageSink(self, collection, event, uid)
        subscription = await self._hub.subscribe(
            client.member, lambda access: repository.live_read(access, query, item), sink
        )
        self._subscriptions[uid] = subscription
        data: dict[str, Any] = {}
        if event is None:
            rows = repository.read_by_query(query) if item is None else repository.read_many([item], query)
            try:
                with reading_from_primary():  # a replica may not have applied what the subscription has seen already
                    data = {"data": await rows}
            except RollcallError:
                self._forget(uid)
                raise
        sink.start({"type": "subscription", "event": "init", **data, **_with_uid(uid)})

    async def _unsubscribe(self, client: RealtimeClient, message: dict[str, Any], uid: Uid) -> None:
        for known in (uid,) if "uid" in message else tuple(self._subscriptions):
            self._forget(known)
        self._connection.post({"type": "subscription", "event": "unsubscribe", **_with_uid(uid)})

    def _forget(self, uid: Uid) -> None:
        subscription = self._subscriptions.pop(uid, None)
        if subscription is not None:
            self._hub.unsubscribe(subscription)

    async def _act(self, client: RealtimeClient, message: dict[str, Any], uid: Uid) -> None:
        collection, action = self._collection(message), ITEM_ACTIONS.get(str(message.get("action")))
        if action is None:
            raise InvalidPayload('"action" has to be "create", "read", "update" or "delete"')
        directory = self._directory(client)
        if message["action"] != "read":
            await directory.require_writable()
            if not collection.writable:
                raise Forbidden
        request = ItemRequest(directory[collection.name], _query_of(message), message)
        self._connection.post({"type": "items", "data": await action(request), **_with_uid(uid)})

    def _directory(self, client: RealtimeClient) -> Directory:
        return Directory(client.member.caller, self._hub.services, self._client_info, shares_budget=True)

    def _collection(self, message: dict[str, Any]) -> Collection:
        """Return the collection that a message names; the error is the same whether it exists or not."""
        collection = self._hub.services.registry.get(str(message.get("collection")))
        if collection is None:
            raise UnknownCollection
        return collection

    def _answer_ping(self, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            self._connection.post({"type": "pong", **_with_uid(message.get("uid"))})

    async def _beat(self) -> None:
        """Send pings, and close the connection if the client has sent nothing between two of them."""
        if not self._settings.websockets_heartbeat_enabled:
            return
        while True:
            await asyncio.sleep(self._settings.websockets_heartbeat_period)
            if not self._has_answered:
                self._connection.close(CloseCode.POLICY_VIOLATION, "A ping was not answered")
                return
            self._has_answered = False
            self._connection.post({"type": "ping"})

    def _refuse(self, failure: AuthFailure) -> None:
        self._post_auth_error(failure)
        self._connection.close(CloseCode.FORBIDDEN, AUTH_MESSAGES[failure])

    def _post_auth_error(self, failure: AuthFailure) -> None:
        error = {"code": failure, "message": AUTH_MESSAGES[failure]}
        self._connection.post({"type": "auth", "status": "error", "error": error})

    def _post_error(self, type_: str, error: RollcallError, uid: Uid) -> None:
        details = {"code": error.code, "message": error.text}
        self._connection.post({"type": type_, "status": "error", "error": details, **_with_uid(uid)})

    def send(self, message: dict[str, Any]) -> None:
        """Send a message of a subscription."""
        self._connection.post(message)

    def end(self, uid: Uid, error: RollcallError) -> None:
        """Send why a subscription has ended."""
        self._subscriptions.pop(uid, None)
        if isinstance(error, ServiceUnavailable):
            self._connection.close(CloseCode.RESTART, "Connect again")
        else:
            self._post_error("subscribe", error, uid)


class UnknownCollection(Forbidden):
    """No collection of this name is served."""

    code = "INVALID_COLLECTION"

    @property
    def text(self) -> str:
        return INVALID_COLLECTION


class _MessageSink:
    """Sends the changes of one subscription, after the message with which it begins."""

    def __init__(self, transport: DirectusTransport, collection: Collection, event: str | None, uid: Uid) -> None:
        self._transport, self._collection, self._event, self._uid = transport, collection, event, uid
        self._early: list[ViewChange] | None = []

    def start(self, message: dict[str, Any]) -> None:
        """Send the first message, and what has changed since the subscription was made."""
        self._transport.send(message)
        early, self._early = self._early or [], None
        self.send(ChangeList(early))

    def send(self, changes: ChangeList) -> None:
        if self._early is not None:
            self._early += changes
            return
        for action in (DELETE, CREATE, UPDATE):
            if self._event not in (None, action):
                continue
            data = changes.cached(action, partial(self._encode, changes, action))
            if data is not None:
                message = {"type": "subscription", "event": action, "data": data, **_with_uid(self._uid)}
                self._transport.send(message)

    def _encode(self, changes: ChangeList, action: str) -> orjson.Fragment | None:
        """Return the data of the changes with an action, the same for all subscribers; None without any."""
        of_action = [change for change in changes if change.action == action]
        data = [self._key(change.key) if action == DELETE else change.data for change in of_action]
        return orjson.Fragment(orjson.dumps(data)) if data else None

    def end(self, error: RollcallError) -> None:
        self._transport.end(self._uid, error)

    def _key(self, key: Any) -> Any:
        return int(key) if self._collection.key.kind == "integer" else key


def _uid_of(message: dict[str, Any]) -> Uid:
    uid = message.get("uid")
    if isinstance(uid, bool) or not isinstance(uid, str | int | None) or len(str(uid)) > MAX_UID_LENGTH:
        raise InvalidPayload(f'"uid" has to be a number, or a string of at most {MAX_UID_LENGTH} characters')
    return uid


def _with_uid(uid: Any) -> dict[str, Any]:
    return {} if uid is None or not isinstance(uid, str | int) else {"uid": uid}


def _query_of(message: dict[str, Any]) -> dict[str, Any]:
    query = message.get("query") or {}
    if not isinstance(query, dict):
        raise InvalidPayload('"query" has to be an object')
    return query
