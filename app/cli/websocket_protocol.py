"""WebSocket on a connection, with limits that uvicorn lacks, and without its logging of addresses and frames."""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

MAX_FRAGMENTS = 1_000
"""Maximum number of frames of one message: empty ones would count nothing towards its size."""
CLOSE_SECONDS = 10.0
"""How long a connection may take to send what is left once its application has ended."""
LOGGER = logging.getLogger("rollcall.websocket")
"""Receives what uvicorn logs: the address of a request, which may contain a token, and frames. Nothing reads it."""
LOGGER.addHandler(logging.NullHandler())
LOGGER.propagate = False
LOGGER.setLevel(logging.CRITICAL)


class LimitedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's protocol; a message in too many fragments ends the connection, and so does a client that is slow."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.logger = self.conn.logger = LOGGER
        self.conn.debug = False

    def handle_cont(self, event: Frame) -> None:
        """Take a further fragment of a message."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.frames = []
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Drop the connection if the client does not read what is left."""
        super().on_task_complete(task)
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
