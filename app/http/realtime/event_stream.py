"""Server-sent events of the protocol graphql-sse: their encoding, and a stream of those that wait for a client.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

import asyncio
from collections import deque

from app.http.response import Header

UNBUFFERED: Header = (b"x-accel-buffering", b"no")
"""Tells proxies to pass on each event at once."""
COMPLETE = b"event: complete\ndata:\n\n"
PING = b":\n\n"


def next_event(result: bytes) -> bytes:
    """Return the event of a result, which is JSON on one line."""
    return b"event: next\ndata: %b\n\n" % result


class EventStream:
    """An async iterator over events as they are posted, with a ping first and after `ping_seconds` without any.

    It ends after the events before `end`. A client that lets `max_queue` events wait is too slow: its stream ends, and
    they are discarded.
    """

    def __init__(self, max_queue: int, ping_seconds: float) -> None:
        self._max_queue, self._ping_seconds = max_queue, ping_seconds
        self._queue = deque([PING])
        self._wake = asyncio.Event()
        self.end_reason: str | None = None
        """Why it has ended, or is going to; None before that."""

    def post(self, event: bytes) -> None:
        """Queue an event; ignored after the end."""
        if self.end_reason is not None:
            return
        if len(self._queue) >= self._max_queue:
            self._queue.clear()
            self.end("slow_client")
            return
        self._queue.append(event)
        self._wake.set()

    def end(self, reason: str) -> None:
        """End the stream after the events that are queued."""
        if self.end_reason is None:
            self.end_reason = reason
            self._wake.set()

    async def next(self) -> bytes | None:
        """Return the next event or ping, None at the end."""
        while not self._queue:
            if self.end_reason is not None:
                return None
            try:
                async with asyncio.timeout(self._ping_seconds):
                    await self._wake.wait()
            except TimeoutError:
                return PING
            self._wake.clear()
        return self._queue.popleft()
