"""A request on its way through the gate: its body as it comes in, its answer with the headers that all have."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from app.core.errors import InvalidPayload
from app.http.request_head import RequestHead
from app.http.response import Header, Response

Body = Callable[[], Awaitable[bytes]]
Pieces = Callable[[], AsyncIterator[bytes]]

BODILESS = (204, 304)
NOSNIFF = (b"x-content-type-options", b"nosniff")
NO_CACHE, NO_STORE = (b"cache-control", b"no-cache"), (b"cache-control", b"no-store")


class Exchange:
    """One request; `status` is its answer's, 0 before that begins.

    Of its body `most` bytes are taken. The answer to a HEAD says how long its body would be. Whatever is answered bears
    the `default_headers` headers.
    """

    __slots__ = ("_bodiless", "_most", "_receive", "_send", "_taken", "default_headers", "head", "status")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, most: int, default_headers: Sequence[Header] = ()
    ) -> None:
        self.head = RequestHead(scope)
        self._receive, self._send, self._most, self.default_headers = receive, send, most, default_headers
        self._bodiless = scope["method"] == "HEAD"
        self._taken = self.status = 0

    def check_content_length(self) -> None:
        """Raises InvalidPayload for a body that says it is too large."""
        if self.head.length > self._most:
            raise self._refusal()

    async def respond(self, reply: Response) -> None:
        """Sends an answer; raises ClientDisconnect where nobody waits for the rest of a stream any more."""
        self.status = status = reply.status
        body, headers = reply.body, [*reply.headers, *self._safe(reply)]
        if status not in BODILESS:
            if reply.media:  # some clients read JSON wherever that is announced
                headers.append((b"content-type", reply.media))
            if reply.stream is None:
                headers.append((b"content-length", b"%d" % len(body)))
        start = {"type": "http.response.start", "status": status, "headers": headers}
        if reply.stream is not None:
            await self._tell_on(start, reply.stream)
            return
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b"" if self._bodiless else body})

    async def _tell_on(self, start: Message, stream: AsyncIterator[bytes]) -> None:
        """Sends a stream piece by piece; where that raises, the body has no end, so that a part never looks whole."""
        gone = asyncio.ensure_future(self._left())
        try:
            async with aclosing(stream):  # type: ignore[type-var]  # whoever streams gives a generator
                await self._send(start)
                async for piece in stream:
                    if self._bodiless:  # not before: a generator that was never begun isn't closed
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
        """The whole body; raises ClientDisconnect where the client leaves before its end, and as `check` does."""
        self.check_content_length()
        pieces: list[bytes] = []
        while (message := await self._receive())["type"] != "http.disconnect":
            piece = self._counted(message)
            if not message.get("more_body"):
                return b"".join((*pieces, piece)) if pieces else piece
            pieces.append(piece)
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

    def _counted(self, message: Message) -> bytes:
        piece: bytes = message.get("body", b"")
        self._taken += len(piece)
        if self._taken > self._most:
            raise self._refusal()
        return piece

    def _safe(self, reply: Response) -> tuple[Header, ...]:
        if self.head.has_credentials or reply.no_store:  # what is stored nowhere needn't say what it depends on
            safe: tuple[Header, ...] = (NO_STORE, NOSNIFF, reply.policy)
        else:
            caching = (b"cache-control", b"public, max-age=%d" % reply.max_age) if reply.max_age else NO_CACHE
            safe = (caching, NOSNIFF, reply.policy, (b"vary", reply.varies))
        if self.default_headers:
            safe = (*safe, *self.default_headers)
        if self.head.has_request_id or self.status >= 400:  # HTTP's own: from here on something went wrong
            return (*safe, (b"x-request-id", self.head.id.encode()))
        return safe

    def _refusal(self) -> InvalidPayload:
        return InvalidPayload(f"The request's body is larger than the {self._most} bytes allowed")
