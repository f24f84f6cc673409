"""What every request passes through: an id, a line in the log, safe headers, a limit on bodies, errors without text."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import InvalidPayload, RollcallError
from app.http.errors import error_response

SANE_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
CREDENTIALS = ("authorization", "cookie")

log = structlog.get_logger(__name__)


class RequestLog:
    """Gives a request its id, keeps it with everything logged meanwhile, and logs one line at the end.

    The query string stays out of the log: it may hold an access token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if SANE_ID.fullmatch(given) else uuid4().hex
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, answer)
            finally:
                spent = round((time.perf_counter() - started) * 1000, 1)
                log.info("request", method=scope["method"], path=scope["path"], status=status, ms=spent)


class SafeHeaders:
    """Keeps answers out of caches, whole when they belong to somebody, and browsers from guessing types."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        personal = any(name in asked for name in CREDENTIALS) or b"access_token" in scope.get("query_string", b"")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-store" if personal else "no-cache"
                headers["X-Content-Type-Options"] = "nosniff"
                headers.add_vary_header("Authorization")
                headers.add_vary_header("Cookie")
            await send(message)

        await self.app(scope, receive, answer)


class BodyLimit:
    """Refuses bodies over `most` bytes, whether they say so beforehand or not."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.most:
            raise self._refusal()
        taken = 0

        async def take() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.most:
                raise self._refusal()
            return message

        await self.app(scope, take, send)

    def _refusal(self) -> InvalidPayload:
        return InvalidPayload(f"The request's body is larger than the {self.most} bytes allowed")


class Errors:
    """Answers every error: ours as they are, any other with an id that the log explains, never with its text."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except ClientDisconnect:
            return
        except RollcallError as error:
            if started or scope["type"] != "http":
                raise
            await error_response(error)(scope, receive, send)
        except Exception:
            log.exception("request_failed")
            if started or scope["type"] != "http":
                raise
            await error_response(RollcallError())(scope, receive, send)
