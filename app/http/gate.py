"""The gate every request passes: an id, a line in the log, safe headers, a limit on bodies, errors without text."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.config import Settings
from app.core.errors import InvalidPayload, RollcallError, RouteNotFound
from app.core.logs import REQUEST
from app.db.rates import Rates
from app.http.cors import Cors
from app.http.head import Head
from app.http.identity import Identity
from app.http.reply import VARIES, Header, Reply, reply_to, wrong_method

Body = Callable[[], Awaitable[bytes]]
Door = Callable[[Scope, Head, Body], Awaitable[Reply]]
"""Answers a request, whose body it may ask for."""
Limiter = Callable[[Head], Awaitable[None]]
"""Counts a request; raises RequestsExceeded where it is one too many."""
Parting = Callable[[RollcallError, Head], Awaitable[Sequence[Header]]]
"""What is said besides to whoever is refused for such a reason."""

NO_CONTENT = 204
NOSNIFF = (b"x-content-type-options", b"nosniff")
NO_PAGE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""There are no pages here: whatever a browser takes for one runs nothing, loads nothing, and stands in no frame."""
SAFE = ((b"cache-control", b"no-cache"), NOSNIFF, NO_PAGE)
SAFE_PERSONAL = ((b"cache-control", b"no-store"), NOSNIFF, NO_PAGE)

lines = logging.getLogger(__name__)
log = structlog.get_logger(__name__)


def hsts_of(settings: Settings) -> tuple[Header, ...]:
    """Tells browsers to come by HTTPS only, where the settings say so; to this host, as others have owners."""
    told = (b"strict-transport-security", b"max-age=%d" % settings.hsts_max_age)
    return (told,) if settings.hsts_enabled else ()


def limiter_of(rates: Rates, identity: Identity) -> Limiter | None:
    """Counts requests by where they come from; None where there is nothing to count."""
    return (lambda head: rates.request(identity.address(head))) if rates.of_requests else None


class Gate:
    """Leads requests to a door by their path, or to the `others`, where the `limiter`, if any, lets them.

    Answers every error: ours as they are, any other with an id that the log explains, never with its text. Refuses
    bodies over `most` bytes, whether they say so beforehand or not. Keeps answers out of caches, whole when they belong
    to somebody, and browsers from guessing types. An answer bears its request's id where it came with one, and where
    something went wrong.
    """

    def __init__(
        self,
        doors: Mapping[str, Door],
        others: ASGIApp,
        most: int,
        limiter: Limiter | None = None,
        cors: Cors | None = None,
        parting: Parting | None = None,
        always: Sequence[Header] = (),
    ) -> None:
        self._doors, self._others, self._most, self._limiter = doors, others, most, limiter
        self._cors, self._parting, self._always = cors, parting, always

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._others(scope, receive, send)
            return
        started = time.perf_counter()
        passage = Passage(Head(scope), receive, send, self._most, self._always, bodiless=scope["method"] == "HEAD")
        current = REQUEST.set(passage.head)
        try:
            if self._cors is not None:
                if allowed := self._cors.before(scope, passage.head):
                    await passage.tell(allowed)
                    return
                passage.further = (*self._always, *self._cors.told(passage.head))
            if self._limiter is not None:
                await self._limiter(passage.head)
            passage.check()
            plain = scope
            if door := self._doors.get(scope["path"]) or self._door(plain := in_small_letters(scope)):
                await self._tell(passage, await door(plain, passage.head, passage.body))
            else:
                await self._others(plain, passage.receive, passage.send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody waits for an answer
            await self._fail(scope, passage, error)
        finally:
            if lines.isEnabledFor(logging.INFO):  # to find words for nobody would cost more than many a query
                spent = round((time.perf_counter() - started) * 1000, 1)
                # The query string stays out of the log: it may hold an access token.
                log.info("request", method=scope["method"], path=scope["path"], status=passage.status, ms=spent)
            REQUEST.reset(current)

    def _door(self, scope: Scope) -> Door | None:
        """The door whose path a request's begins with, below wherever the application is mounted."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return next((door for root, door in self._doors.items() if f"{path}/".startswith(f"{root}/")), None)

    async def _tell(self, passage: "Passage", reply: Reply) -> None:
        if reply.refusal is not None and self._parting is not None:
            reply = reply._replace(more=(*reply.more, *await self._parting(reply.refusal, passage.head)))
        await passage.tell(reply)

    async def _fail(self, scope: Scope, passage: "Passage", error: Exception) -> None:
        ours = wrong_method(scope["method"], error) if isinstance(error, HTTPException) else error
        if isinstance(ours, RouteNotFound):
            ours = RouteNotFound(scope["path"])  # as it was asked for
        if not isinstance(ours, RollcallError):
            log.error("request_failed", exc_info=error)
            ours = RollcallError()
        if passage.status:
            log.error("answer_cut", code=ours.code)
            raise error
        await self._tell(passage, reply_to(ours))


def in_small_letters(scope: Scope) -> Scope:
    """The same request of a path without capitals, nor a slash at its end: Directus' paths don't mind them."""
    root, path = scope.get("root_path", ""), scope["path"]
    plain = path.removeprefix(root).lower().rstrip("/") or "/"
    return scope if path == root + plain else {**scope, "path": root + plain}


class Passage:
    """One request on its way through the gate; `status` is its answer's, 0 before that begins.

    The answer to a `bodiless` one says how long its body would be. Whatever is answered bears the `further` headers.
    """

    __slots__ = ("_bodiless", "_most", "_receive", "_send", "_taken", "further", "head", "status")

    def __init__(
        self,
        head: Head,
        receive: Receive,
        send: Send,
        most: int,
        further: Sequence[Header] = (),
        *,
        bodiless: bool = False,
    ) -> None:
        self.head, self._receive, self._send, self._most, self._bodiless = head, receive, send, most, bodiless
        self.further = further
        self._taken = self.status = 0

    def check(self) -> None:
        """Raises InvalidPayload for a body that says it is too large."""
        if self.head.length > self._most:
            raise self._refusal()

    async def tell(self, reply: Reply) -> None:
        """Sends an answer; raises ClientDisconnect where nobody waits for the rest of a stream any more."""
        self.status = reply.status
        about: list[Header] = []
        if reply.stream is None:
            about.append((b"content-length", b"%d" % len(reply.body)))
        if reply.media:  # some clients read JSON wherever that is announced
            about.append((b"content-type", reply.media))
        headers = [
            *(about if reply.status != NO_CONTENT else ()),
            *reply.more,
            *self._safe(reply.varies, private=reply.private),
        ]
        start = {"type": "http.response.start", "status": reply.status, "headers": headers}
        if reply.stream is not None:
            await self._tell_on(start, reply.stream)
            return
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b"" if self._bodiless else reply.body})

    async def _tell_on(self, start: Message, stream: AsyncIterator[bytes]) -> None:
        """Sends a stream piece by piece; where that raises, the body has no end, so that a part never looks whole."""
        gone = asyncio.ensure_future(self._left())
        try:
            async with aclosing(stream):  # type: ignore[type-var]  # whoever streams gives a generator
                await self._send(start)
                async for piece in stream:
                    if self._bodiless:
                        break
                    if gone.done():
                        raise ClientDisconnect
                    await self._send({"type": "http.response.body", "body": piece, "more_body": True})
                await self._send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()

    async def _left(self) -> None:
        """Ends once the client has gone; a server takes what is sent to nobody without a word."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

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

    def _safe(self, varies: bytes, *, private: bool = False) -> tuple[Header, ...]:
        # What is stored nowhere needn't say what it depends on.
        safe: tuple[Header, ...] = SAFE_PERSONAL if self.head.personal or private else (*SAFE, (b"vary", varies))
        if self.further:
            safe = (*safe, *self.further)
        if self.head.named or self.status >= 400:  # HTTP's own: from here on something went wrong
            return (*safe, (b"x-request-id", self.head.id.encode()))
        return safe

    def _refusal(self) -> InvalidPayload:
        return InvalidPayload(f"The request's body is larger than the {self._most} bytes allowed")
