"""Computation in threads, during which Python switches between threads more often, so that the event loop runs soon."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

T = TypeVar("T")

SWITCH_SECONDS = 0.0005
"""How long a computing thread runs at most before the event loop may."""

_lock, _computing = Lock(), 0
_usual_seconds = sys.getswitchinterval()


@contextmanager
def computing() -> Iterator[None]:
    """Let the event loop run soon while the block computes in another thread.

    At other times the interval is Python's own, because the threads that read from SQLite would switch too often.
    """
    _add(1)
    try:
        yield
    finally:
        _add(-1)


async def compute_in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, which computes for long, in a thread."""

    def compute() -> T:
        with computing():
            return work()

    return await asyncio.to_thread(compute)


def _add(number: int) -> None:
    global _computing  # noqa: PLW0603  # the interval is the process's as well
    with _lock:
        _computing += number
        sys.setswitchinterval(SWITCH_SECONDS if _computing else _usual_seconds)
