"""A WebSocket connection with limits: on the messages of the client, and on those that wait for it."""

import asyncio
from collections import deque
from enum import IntEnum
from time import monotonic
from typing import Any

import orjson
from starlette.types import Receive, Send

from app.core.config import Settings
from app.core.errors import InvalidPayload
from app.http.parsing import load_json
from app.metrics.instruments import EventCounter

CLOSE_SECONDS = 5.0
"""How long a client that does not read is waited for before its connection is dropped."""


class CloseCode(IntEnum):
    """Why the server closes a connection: RFC 6455, and from 4400 on the protocol graphql-transport-ws."""

    NORMAL = 1000
    UNSUPPORTED_DATA = 1003
    POLICY_VIOLATION = 1008
    RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    TOO_MANY_INIT_REQUESTS = 4429


class WebSocketConnection:
    """Reads JSON messages, and writes them in the background, each in turn."""

    def __init__(self, receive: Receive, send: Send, settings: Settings, slow_clients: EventCounter) -> None:
        self._receive, self._send = receive, send
        self._max_queue, self._max_messages = settings.websockets_max_queue, settings.websockets_max_messages
        self._max_values = settings.max_payload_values
        self._queue: deque[dict[str, Any]] = deque()
        self._wake, self._slow_clients = asyncio.Event(), slow_clients
        self._close: tuple[int, str] | None = None
        self._writer: asyncio.Task[Any] | None = None
        self._window, self._received = 0.0, 0
        self.code: int | None = None
        """The code with which the connection was closed, by whichever side."""

    @property
    def is_closing(self) -> bool:
        """Whether this side closes the connection."""
        return self._close is not None

    def post(self, message: dict[str, Any]) -> None:
        """Queue a message. A client that is too slow for them is disconnected."""
        if self._close is not None:
            return
        if len(self._queue) >= self._max_queue:
            self._queue.clear()
            self._slow_clients.add()
            self.close(CloseCode.TRY_AGAIN_LATER, "The client reads too slowly")
            return
        self._queue.append(message)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Close the connection once the messages that are queued have been sent."""
        if self._close is None:
            self._close = (int(code), reason)
            self._wake.set()
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._stop_writing)

    async def read(self) -> dict[str, Any] | None:
        """Return the next message, a JSON object; None once the client has disconnected.

        Raises:
            InvalidPayload: It is anything else.
        """
        event = await self._receive()
        if event["type"] != "websocket.receive":
            self.code = self.code or event.get("code")
            return None
        self._count()
        text = event.get("text")
        if text is None:
            raise InvalidPayload("A message has to be text")
        message = load_json(text.encode(), self._max_values, "A message")
        if not isinstance(message, dict):
            raise InvalidPayload("A message has to be a JSON object")
        return message

    async def write_forever(self) -> None:
        """Send what is queued until this side closes the connection, or the client has stopped reading."""
        self._writer = asyncio.current_task()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                text = orjson.dumps(self._queue.popleft()).decode()
                await self._send({"type": "websocket.send", "text": text})
            if self._close is not None:
                self.code, reason = self._close
                await self._send({"type": "websocket.close", "code": self.code, "reason": reason})
                return

    def _stop_writing(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    def _count(self) -> None:
        now = monotonic()
        if now >= self._window + 1:
            self._window, self._received = now, 0
        self._received += 1
        if self._received > self._max_messages:
            self.close(CloseCode.POLICY_VIOLATION, "Too many messages")
