"""Where passwords are hashed: on the calling thread, or in a process of its own that delays no request."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import astuple
from threading import Lock
from typing import Any, Protocol, TypeVar

import structlog

from app.core.errors import ServiceUnavailable
from app.core.hash_parameters import HashCost
from app.core.threads import lower_thread_priority
from app.passwords.worker_client import HashWorker, WorkerExited

T = TypeVar("T")

MIN_SUBPROCESS_COST = 4096
"""KiB times passes from which on a hash takes milliseconds, and is worth a process."""
MAX_ATTEMPTS = 2
"""How often a password is hashed if its worker process exits."""
RETRY_INTERVAL_SECONDS = 60.0
"""How long after a failed start the worker process is started again."""
UNAVAILABLE_MESSAGE = "Password hashing is unavailable; try again later"

log = structlog.get_logger(__name__)


class PasswordHasher(Protocol):
    """Hashes passwords; its methods block the calling thread."""

    def hash(self, password: str, cost: HashCost) -> str:
        """Do what `hash_password` does; may raise ServiceUnavailable."""
        ...

    def verify(self, password: str, hashed: str) -> bool:
        """Do what `verify_password` does; may raise ServiceUnavailable."""
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Keep the hasher ready within the block; at its end pending calls raise ServiceUnavailable."""
        ...


class InProcessHasher:
    """Hashes on the calling thread. On Linux it lowers that thread's priority for good."""

    def hash(self, password: str, cost: HashCost) -> str:
        from app.core.hashing import hash_password  # noqa: PLC0415  # takes 2 MB of memory that only workers need

        lower_thread_priority()
        return hash_password(password, cost)

    def verify(self, password: str, hashed: str) -> bool:
        from app.core.hashing import verify_password  # noqa: PLC0415  # as above

        lower_thread_priority()
        return verify_password(password, hashed)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield


class SubprocessHasher:
    """Hashes in a worker process.

    If the process is killed, another is started and the pending calls are repeated. If none can be started, passwords
    are hashed in this process, and the next start is tried after a while.
    """

    def __init__(self) -> None:
        self._in_process, self._lock = InProcessHasher(), Lock()
        self._worker: HashWorker | None = None
        self._stopped, self._retry_at = False, 0.0

    def hash(self, password: str, cost: HashCost) -> str:
        return self._run(
            lambda worker: worker.request(password, astuple(cost)), lambda: self._in_process.hash(password, cost)
        )

    def verify(self, password: str, hashed: str) -> bool:
        return self._run(
            lambda worker: worker.request(password, hashed), lambda: self._in_process.verify(password, hashed)
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._stopped = False
        await asyncio.to_thread(self._live_worker)
        try:
            yield
        finally:
            self._stopped = True
            self._kill_worker()

    def _run(self, in_worker: Callable[[HashWorker], Any], in_process: Callable[[], T]) -> T:
        for _ in range(MAX_ATTEMPTS):
            worker = self._live_worker()
            if worker is None:
                return in_process()
            try:
                result: T | None = in_worker(worker)
            except WorkerExited:
                continue
            if result is None:
                raise ValueError("This text cannot be hashed.")
            return result
        raise ServiceUnavailable(UNAVAILABLE_MESSAGE)

    def _live_worker(self) -> HashWorker | None:
        """Return the worker, started again if it has exited; None if it cannot be started."""
        with self._lock:
            if not self._stopped and (self._worker is None or self._worker.exited):
                self._worker = self._start_worker() if time.monotonic() >= self._retry_at else None
            if self._stopped:  # possibly while the worker was being started
                self._kill_worker()
                raise ServiceUnavailable(UNAVAILABLE_MESSAGE)
            return self._worker

    def _start_worker(self) -> HashWorker | None:
        try:
            self._worker = HashWorker()
            self._worker.wait_until_ready()
        except (OSError, WorkerExited) as error:
            if not self._retry_at and not self._stopped:
                log.warning("hasher_fallback_in_process", reason=str(error))
            self._retry_at = time.monotonic() + RETRY_INTERVAL_SECONDS
            return None
        self._retry_at = 0.0
        return self._worker

    def _kill_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()


def create_hasher(cost: HashCost) -> PasswordHasher:
    """Return the best hasher of a server for this cost."""
    return SubprocessHasher() if cost.memory * cost.time >= MIN_SUBPROCESS_COST else InProcessHasher()
