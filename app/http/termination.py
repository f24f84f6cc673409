"""SIGTERM: load balancers learn that a process is going to stop before it stops accepting connections."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def drained_before_termination(drain: Callable[[], None], delay_seconds: float) -> Iterator[None]:
    """At the first SIGTERM call `drain`, and pass it on to the server after a delay; a second one ends the delay.

    Nothing is done unless a server has installed a handler, as uvicorn has before it starts an application.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    terminate, loop = previous, asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, terminate)
        loop.call_soon_threadsafe(drain)
        loop.call_soon_threadsafe(loop.call_later, delay_seconds, terminate, number, frame)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is handle:
            signal.signal(signal.SIGTERM, terminate)
