"""An event loop that measures itself: the longest computation between two polls for events."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from app.cli.server import http_protocol
from app.core.config import Settings
from app.main import create_app


class MeasuredLoop(asyncio.SelectorEventLoop):
    """An event loop with the CPU time of its longest iteration since `longest` was reset, in seconds.

    CPU time of the loop's own thread does not include other threads and processes.
    """

    longest = 0.0

    def _run_once(self) -> None:
        started = time.thread_time()
        super()._run_once()  # type: ignore[misc]  # a private method
        self.longest = max(self.longest, time.thread_time() - started)


@contextmanager
def measured_server(settings: Settings) -> Iterator[tuple[int, MeasuredLoop]]:
    """Serve in a thread of its own; yield the port, and the loop of the server."""
    config = uvicorn.Config(create_app(settings), port=0, log_config=None, ws="none", http=http_protocol(settings))
    server, loop = uvicorn.Server(config), MeasuredLoop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(),))
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1], loop
    finally:
        server.should_exit = True
        thread.join(60)
        loop.close()
