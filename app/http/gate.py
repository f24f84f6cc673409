"""The gate every request passes: an id, a line in the log, safe headers, a limit on bodies, errors without text."""

import logging
import re
import time
from secrets import token_hex

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import InvalidPayload, RollcallError
from app.core.logs import REQUEST_ID
from app.http.errors import error_response

SANE_ID = re.compile(rb"[\w.:-]{1,64}", re.ASCII)
CREDENTIALS = (b"authorization", b"cookie")
VARIES = b"Authorization, Cookie"

told = logging.getLogger(__name__)
log = structlog.get_logger(__name__)


class Gate:
    """Lets requests through to `app`: one layer for what others need four for, as each costs every request its time.

    Answers every error: ours as they are, any other with an id that the log explains, never with its text. Refuses
    bodies over `most` bytes, whether they say so beforehand or not. Keeps answers out of caches, whole when they belong
    to somebody, and browsers from guessing types.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = Passage(scope, receive, send, self._most)
        named = REQUEST_ID.set(passage.id)
        try:
            await self._pass(scope, passage)
        finally:
            if told.isEnabledFor(logging.INFO):  # to find words for nobody would cost more than many a query
                # The query string stays out of the log: it may hold an access token.
                log.info("request", method=scope["method"], path=scope["path"], status=passage.status, ms=passage.ms())
            REQUEST_ID.reset(named)

    async def _pass(self, scope: Scope, passage: "Passage") -> None:
        try:
            passage.check()
            await self._app(scope, passage.receive, passage.send)
        except ClientDisconnect:
            return
        except RollcallError as error:
            if passage.status:
                raise
            await error_response(error)(scope, passage.receive, passage.send)
        except Exception:
            log.exception("request_failed")
            if passage.status:
                raise
            await error_response(RollcallError())(scope, passage.receive, passage.send)


class Passage:
    """One request on its way through the gate; `status` is its answer's, 0 before that begins."""

    __slots__ = ("_announced", "_most", "_personal", "_receive", "_send", "_started", "_taken", "id", "status")

    def __init__(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        self._receive, self._send, self._most = receive, send, most
        self._started = time.perf_counter()
        self._taken = self.status = self._announced = 0
        self._personal = b"access_token" in scope.get("query_string", b"")
        given = b""
        for name, value in scope["headers"]:
            if name in CREDENTIALS:
                self._personal = True
            elif name == b"content-length" and value.isdigit():
                self._announced = int(value[:20])  # more digits than that say no more
            elif name == b"x-request-id":
                given = value
        self.id = given.decode() if SANE_ID.fullmatch(given) else token_hex(16)

    def ms(self) -> float:
        """Milliseconds since it came."""
        return round((time.perf_counter() - self._started) * 1000, 1)

    def check(self) -> None:
        """Raises InvalidPayload for a body that says it is too large."""
        if self._announced > self._most:
            raise self._refusal()

    async def receive(self) -> Message:
        """The next piece of the body; raises InvalidPayload where it is one too many."""
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self._taken > self._most:
            raise self._refusal()
        return message

    async def send(self, message: Message) -> None:
        """Passes a piece of the answer on, its beginning with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._dressed(message.get("headers", ()))
        await self._send(message)

    def _dressed(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        varies = b", ".join((*(value for name, value in headers if name == b"vary"), VARIES))
        return [
            *(header for header in headers if header[0] != b"vary"),
            (b"vary", varies),
            (b"cache-control", b"no-store" if self._personal else b"no-cache"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-request-id", self.id.encode()),
        ]

    def _refusal(self) -> InvalidPayload:
        return InvalidPayload(f"The request's body is larger than the {self._most} bytes allowed")
