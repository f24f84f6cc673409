"""The gate every request passes: an id, a line in the log, safe headers, a limit on bodies, errors without text."""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import InvalidPayload, RollcallError
from app.core.logs import REQUEST
from app.db.rates import Rates
from app.http.head import Head
from app.http.identity import Identity
from app.http.reply import VARIES, Header, Reply, reply_to, wrong_method

Body = Callable[[], Awaitable[bytes]]
Door = Callable[[Scope, Head, Body], Awaitable[Reply]]
"""Answers a request, whose body it may ask for."""
Pieces = Callable[[], AsyncIterator[bytes]]
Upload = Callable[[Scope, Head, Pieces], Awaitable[Reply]]
"""Answers a request whose body may be of any length: it takes it piece by piece, and stops where that is too much."""
Limiter = Callable[[Head], Awaitable[None]]
"""Counts a request; raises RequestsExceeded where it is one too many."""

BODILESS = (204, 304)
FORMS_BY = ("POST", "PATCH")
NOSNIFF = (b"x-content-type-options", b"nosniff")
SAFE_PERSONAL = ((b"cache-control", b"no-store"), NOSNIFF)

NONE: Mapping[str, Upload] = {}

T = TypeVar("T")

lines = logging.getLogger(__name__)
log = structlog.get_logger(__name__)


def limiter_of(rates: Rates, identity: Identity) -> Limiter | None:
    """Counts requests by where they come from; None where there is nothing to count."""
    return (lambda head: rates.request(identity.address(head))) if rates.of_requests else None


class Gate:
    """Leads requests to a door by their path, or to the `others`, where the `limiter`, if any, lets them.

    A form that is sent below a path of the `uploads` is theirs, however long it is.

    Answers every error: ours as they are, any other with an id that the log explains, never with its text. Refuses
    other bodies over `most` bytes, whether they say so beforehand or not. Keeps answers out of caches, whole when they
    belong to somebody, and browsers from guessing types. An answer bears its request's id where it came with one, and
    where something went wrong.
    """

    def __init__(
        self,
        doors: Mapping[str, Door],
        others: ASGIApp,
        most: int,
        limiter: Limiter | None = None,
        uploads: Mapping[str, Upload] = NONE,
    ) -> None:
        self._doors, self._others, self._most, self._limiter = doors, others, most, limiter
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._others(scope, receive, send)
            return
        started = time.perf_counter()
        passage = Passage(Head(scope), receive, send, self._most, bodiless=scope["method"] == "HEAD")
        current = REQUEST.set(passage.head)
        try:
            if self._limiter is not None:
                await self._limiter(passage.head)
            if upload := self._upload(scope, passage.head):
                await passage.tell(await upload(scope, passage.head, passage.pieces))
                return
            passage.check()
            if door := self._doors.get(scope["path"]) or _behind(self._doors, scope):
                await passage.tell(await door(scope, passage.head, passage.body))
            else:
                await self._others(scope, passage.receive, passage.send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody waits for an answer
            await _fail(scope, passage, error)
        finally:
            if lines.isEnabledFor(logging.INFO):  # to find words for nobody would cost more than many a query
                spent = round((time.perf_counter() - started) * 1000, 1)
                # The query string stays out of the log: it may hold an access token.
                log.info("request", method=scope["method"], path=scope["path"], status=passage.status, ms=spent)
            REQUEST.reset(current)

    def _upload(self, scope: Scope, head: Head) -> Upload | None:
        return _behind(self._uploads, scope) if scope["method"] in FORMS_BY and head.multipart else None


def _behind(doors: Mapping[str, T], scope: Scope) -> T | None:
    """The door whose path a request's begins with, below wherever the application is mounted."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return next((door for root, door in doors.items() if f"{path}/".startswith(f"{root}/")), None)


async def _fail(scope: Scope, passage: "Passage", error: Exception) -> None:
    ours = wrong_method(scope["method"], error) if isinstance(error, HTTPException) else error
    if not isinstance(ours, RollcallError):
        log.error("request_failed", exc_info=error)
        ours = RollcallError()
    if passage.status:
        raise error
    await passage.tell(reply_to(ours))


class Passage:
    """One request on its way through the gate; `status` is its answer's, 0 before that begins.

    The answer to a `bodiless` one says how long its body would be.
    """

    __slots__ = ("_bodiless", "_most", "_receive", "_send", "_taken", "head", "status")

    def __init__(self, head: Head, receive: Receive, send: Send, most: int, *, bodiless: bool = False) -> None:
        self.head, self._receive, self._send, self._most, self._bodiless = head, receive, send, most, bodiless
        self._taken = self.status = 0

    def check(self) -> None:
        """Raises InvalidPayload for a body that says it is too large."""
        if self.head.length > self._most:
            raise self._refusal()

    async def tell(self, reply: Reply) -> None:
        """Sends an answer; a stream is closed whatever becomes of it."""
        self.status = reply.status
        headers = [*_about(reply), *reply.more, *self._safe(reply.varies, private=reply.private, fresh=reply.fresh)]
        try:
            await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
            if reply.stream is not None and not self._bodiless:
                async for piece in reply.stream:
                    await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await self._send({"type": "http.response.body", "body": b"" if self._bodiless else reply.body})
        finally:
            if isinstance(reply.stream, AsyncGenerator):
                await reply.stream.aclose()

    async def body(self) -> bytes:
        """The whole body; raises ClientDisconnect where the client leaves before its end, and as `receive` does."""
        message = await self.receive()
        pieces: list[bytes] = []
        while message["type"] != "http.disconnect":
            pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            message = await self.receive()
        raise ClientDisconnect

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body piece by piece, of any length; raises ClientDisconnect where the client leaves before its end."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            more = message.get("more_body", False)
            yield message.get("body", b"")

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

    def _dressed(self, given: Sequence[Header]) -> list[Header]:
        varies = [value for name, value in given if name == b"vary"]
        return [*(header for header in given if header[0] != b"vary"), *self._safe(b", ".join((*varies, VARIES)))]

    def _safe(self, varies: bytes, *, private: bool = False, fresh: int = 0) -> tuple[Header, ...]:
        # What is stored nowhere needn't say what it depends on.
        caching = (b"cache-control", b"public, max-age=%d" % fresh if fresh else b"no-cache")
        personal = self.head.personal or private
        safe: tuple[Header, ...] = SAFE_PERSONAL if personal else (caching, NOSNIFF, (b"vary", varies))
        if self.head.named or self.status >= 400:  # HTTP's own: from here on something went wrong
            return (*safe, (b"x-request-id", self.head.id.encode()))
        return safe

    def _refusal(self) -> InvalidPayload:
        return InvalidPayload(f"The request's body is larger than the {self._most} bytes allowed")


def _about(reply: Reply) -> tuple[Header, ...]:
    """What is said of an answer's body; some clients read JSON wherever that is announced."""
    if reply.status in BODILESS:
        return ()
    media = ((b"content-type", reply.media),) if reply.media else ()
    return media if reply.stream else (*media, (b"content-length", b"%d" % len(reply.body)))
