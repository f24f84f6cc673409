"""One HTTP request and its response on ASGI: reads the body within a limit, sends the response with common headers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from time import perf_counter
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from app.core.errors import InvalidPayload
from app.http.admission_queue import AdmissionQueue
from app.http.request_head import RequestHead
from app.http.response import Header, Response

BodyReader = Callable[[], Awaitable[bytes]]
"""Reads the whole body."""
ChunkReader = Callable[[], AsyncIterator[bytes]]
"""Reads the body chunk by chunk, once."""

STATUS_WITHOUT_BODY = (204, 304)
NOSNIFF = (b"x-content-type-options", b"nosniff")
NO_CACHE, NO_STORE = (b"cache-control", b"no-cache"), (b"cache-control", b"no-store")


class SignInTurns(Protocol):
    """Gives requests turns among the sign-ins."""

    def turn_among_sign_ins(self, exchange: "Exchange", *, is_last: bool) -> AbstractAsyncContextManager[None]:
        """Return the turn of a request, which waits there as long as it must."""
        ...


class Exchange:
    """One request and its response.

    `status` is 0 until the response has started. `extra_headers` are added to the response. The response to a HEAD
    request has the headers of a GET and no body. The exchange is created by the task that handles the request; once it
    is watched, by its `watcher`, that task is cancelled as soon as the client leaves. The middleware sets
    `admission`, which gives the request its turn.
    """

    admission: "SignInTurns"

    __slots__ = (
        "_body",
        "_body_ended",
        "_client_left",
        "_is_head",
        "_max_body_size",
        "_receive",
        "_received",
        "_send",
        "_task",
        "admission",
        "answered_at",
        "extra_headers",
        "head",
        "is_receiving",
        "queue",
        "reserved_for",
        "resume",
        "status",
        "watcher",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        max_body_size: int,
        extra_headers: Sequence[Header] = (),
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.head = RequestHead(scope)
        self._receive, self._send, self._max_body_size = receive, send, max_body_size
        self.extra_headers = extra_headers
        self._is_head = scope["method"] == "HEAD"
        self.status = 0
        self.answered_at = 0.0
        """When an endless response started, on the performance counter; 0 for none."""
        self._received: Message | None = None
        """A message of the body that was received before it was read."""
        self._task = asyncio.current_task(loop)
        self.watcher: asyncio.Task[None] | None = None
        self._body_ended = self._client_left = self.is_receiving = False
        """`is_receiving` says whether the body is being read."""
        self._body: bytes | None = None
        self.queue: AdmissionQueue | None = None
        """Where the request has a turn, which ends when the response starts; `reserved_for` belongs to the turn."""
        self.reserved_for: str | None = None
        self.resume: Callable[[], Awaitable[None]] | None = None
        """Waits for another turn once the body is complete, if the first one was ended while it was being read."""

    @property
    def id(self) -> str:
        """The request's id."""
        return self.head.id

    def watch_client(self) -> None:
        """Cancel the task of the request when its client leaves; ignored as long as the body isn't read completely.

        Code that reads the body notices by itself that the client leaves.
        """
        if self.watcher is None and (self._body_ended or self.head.has_no_body):
            self.watcher = asyncio.ensure_future(self._cancel_when_client_leaves())

    def stop_watching(self) -> None:
        """Let the task end even if the client leaves."""
        if self.watcher is not None:
            self.watcher.cancel()

    def starts_at_once(self, queue: AdmissionQueue) -> bool:
        """Begin a turn in a queue if no request has to wait there; return whether it began."""
        if queue.running >= queue.max_shared:
            return False
        queue.running += 1
        self.queue = queue
        return True

    def leave_queue(self) -> None:
        """End the request's turn, if it has one, so that another request may run."""
        if self.queue is not None:
            self.queue.leave(self.reserved_for)
            self.queue = self.reserved_for = None

    def sign_in_turn(self, *, is_last: bool) -> AbstractAsyncContextManager[None]:
        """Return a turn among the sign-ins; `is_last` says that nothing else follows in the request."""
        return self.admission.turn_among_sign_ins(self, is_last=is_last)

    def close(self) -> None:
        """End what belongs to the request: its turn, and the watch over its client."""
        if self.queue is not None:
            self.leave_queue()
        if self.watcher is not None:
            self.watcher.cancel()
        self._task = self._body = None  # the context of the task refers to the exchange, and the body may be large

    def was_abandoned(self) -> bool:
        """Return whether the task was cancelled only because the client left; then it is no longer cancelled."""
        return self._client_left and (self._task is None or self._task.uncancel() == 0)

    async def respond(self, response: Response) -> None:
        """Send a response. The task is cancelled if the client leaves before the end of a stream."""
        if (queue := self.queue) is not None:  # as `leave_queue`, without a call
            self.queue = None
            queue.leave(self.reserved_for)
        self.status = status = response.status
        body, headers = response.body, [*response.headers, *self._common_headers(response)]
        if status not in STATUS_WITHOUT_BODY:
            if response.media:  # some clients parse any body that is announced as JSON
                headers.append((b"content-type", response.media))
            if response.stream is None:
                headers.append((b"content-length", b"%d" % len(body)))
        start = {"type": "http.response.start", "status": status, "headers": headers}
        if response.stream is not None:
            if response.is_endless:
                self.answered_at = perf_counter()
            await self._send_stream(start, response.stream)
            return
        if self.watcher is not None:
            self.stop_watching()
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b"" if self._is_head else body})

    async def body(self) -> bytes:
        """Return the whole body; a request that is answered again reads the same one.

        Raises:
            InvalidPayload: The body is too large.
            ClientDisconnect: The client left before the end of the body.
        """
        if self._body is not None:
            return self._body
        if self.head.length > self._max_body_size:
            raise self._too_large()
        self.is_receiving = True
        message = self._received or await self._receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body") or message["type"] == "http.disconnect":  # else it has arrived in one piece
            body = await self._join_chunks(message)
        elif len(body) > self._max_body_size:
            raise self._too_large()
        self._received, self._body, self._body_ended, self.is_receiving = None, body, True, False
        if self.resume is not None:
            await self.resume()
        return body

    async def _join_chunks(self, message: Message) -> bytes:
        """Return the body that begins with a message."""
        size, chunks = 0, list[bytes]()
        while message["type"] != "http.disconnect":
            self._received = None
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body_size:
                raise self._too_large()
            chunks.append(chunk)
            if not message.get("more_body"):
                return b"".join(chunks)
            message = self._received or await self._receive()
        raise ClientDisconnect

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, of any size, as it arrives.

        Raises:
            ClientDisconnect: The client left before the end of the body.
        """
        more = self.is_receiving = True  # also while chunks are stored: a file may take minutes
        while more:
            message = self._received or await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._received = None
            more = message.get("more_body", False)
            self._body_ended = not more
            yield message.get("body", b"")

    async def _send_stream(self, start: Message, stream: AsyncIterator[bytes]) -> None:
        """Send a stream; if it raises, the body gets no end, so that a part is never mistaken for the whole."""
        self.watch_client()
        async with aclosing(stream):  # type: ignore[type-var]  # Response.stream is always a generator
            await self._send(start)
            async for chunk in stream:
                if self._is_head:  # not earlier: a generator that was never started isn't closed
                    break
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self.stop_watching()  # the server reports the end of the response like a client that left
            await self._send({"type": "http.response.body", "body": b""})

    async def _cancel_when_client_leaves(self) -> None:
        while (message := await self._receive())["type"] != "http.disconnect":
            self._received = message
        self._client_left = True
        if self._task is not None:
            self._task.cancel()

    def _common_headers(self, response: Response) -> tuple[Header, ...]:
        """Return the headers for caching and browser security, the extra headers, and maybe the request id."""
        if response.same_for_everyone and response.max_age:
            caching = (b"cache-control", b"public, max-age=%d, immutable" % response.max_age)
            headers: tuple[Header, ...] = (caching, NOSNIFF, response.policy)
        elif self.head.has_credentials or response.no_store:  # no-store responses need no Vary header
            headers = (NO_STORE, NOSNIFF, response.policy)
        else:
            caching = (b"cache-control", b"public, max-age=%d" % response.max_age) if response.max_age else NO_CACHE
            headers = (caching, NOSNIFF, response.policy, (b"vary", response.varies))
        if self.extra_headers:
            headers = (*headers, *self.extra_headers)
        if self.head.request_id is not None or self.status >= 400:
            return (*headers, (b"x-request-id", self.head.id.encode()))
        return headers

    def _too_large(self) -> InvalidPayload:
        return InvalidPayload(f"The request's body is larger than the {self._max_body_size} bytes allowed")
