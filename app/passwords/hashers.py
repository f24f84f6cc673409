"""Where passwords are hashed: on the thread that asks, or in a process of its own that nobody else has to wait for."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import astuple
from threading import Lock
from typing import Any, Protocol, TypeVar

import structlog

from app.core.errors import ServiceUnavailable
from app.core.hashing import HashCost, hash_password, verify_password
from app.passwords.worker_client import HashWorker, WorkerExited

T = TypeVar("T")

NICENESS = 10
"""By how much a thread that hashes stands back behind those who only ask something."""
WORTH = 4096
"""KiB times passes from which on a hash takes milliseconds, and is worth a process."""
ATTEMPTS = 2
"""How often a password is hashed whose process ends meanwhile."""
PAUSE = 60.0
"""Seconds after which a process is tried again where none could be had."""
AWAY = "Passwords can't be looked at just now; try again in a moment"

log = structlog.get_logger(__name__)


class PasswordHasher(Protocol):
    """Whoever hashes; a thread has to wait for it."""

    def hash(self, password: str, cost: HashCost) -> str:
        """As hash_password; raises ServiceUnavailable too."""
        ...

    def verify(self, password: str, hashed: str) -> bool:
        """As verify_password; raises ServiceUnavailable."""
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Meanwhile it is ready; who still waits at the end is told ServiceUnavailable."""
        ...


class InProcessHasher:
    """Hashes on the thread that asks; where threads have a priority of their own, it has a low one from then on."""

    def hash(self, password: str, cost: HashCost) -> str:
        _lower_priority()
        return hash_password(password, cost)

    def verify(self, password: str, hashed: str) -> bool:
        _lower_priority()
        return verify_password(password, hashed)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield


class SubprocessHasher:
    """Hashes in a process of its own. Where that is killed another takes its place, and does once more what was begun.

    Where none can be had it hashes here, and tries again later.
    """

    def __init__(self) -> None:
        self._here, self._lock = InProcessHasher(), Lock()
        self._process: HashWorker | None = None
        self._over, self._refused_until = False, 0.0

    def hash(self, password: str, cost: HashCost) -> str:
        return self._done(lambda there: there.ask(password, astuple(cost)), lambda: self._here.hash(password, cost))

    def verify(self, password: str, hashed: str) -> bool:
        return self._done(lambda there: there.ask(password, hashed), lambda: self._here.verify(password, hashed))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._over = False
        await asyncio.to_thread(self._living)
        try:
            yield
        finally:
            self._over = True
            self._end()

    def _done(self, there: Callable[[HashWorker], Any], here: Callable[[], T]) -> T:
        for _ in range(ATTEMPTS):
            process = self._living()
            if process is None:
                return here()
            try:
                answer: T | None = there(process)
            except WorkerExited:
                continue
            if answer is None:
                raise ValueError("This is no text that can be hashed.")
            return answer
        raise ServiceUnavailable(AWAY)

    def _living(self) -> HashWorker | None:
        """The process, begun anew where it has ended; None where there can't be one."""
        with self._lock:
            if not self._over and (self._process is None or self._process.over):
                self._process = self._begun() if time.monotonic() >= self._refused_until else None
            if self._over:  # which may be said while it begins
                self._end()
                raise ServiceUnavailable(AWAY)
            return self._process

    def _begun(self) -> HashWorker | None:
        try:
            self._process = HashWorker()
            self._process.wait()
        except (OSError, WorkerExited) as error:
            if not self._refused_until and not self._over:
                log.warning("hashing_here", why=str(error))
            self._refused_until = time.monotonic() + PAUSE
            return None
        self._refused_until = 0.0
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()


def create_hasher(cost: HashCost) -> PasswordHasher:
    """Where passwords of such a cost are best hashed by somebody who serves."""
    return SubprocessHasher() if cost.memory * cost.time >= WORTH else InProcessHasher()


def _lower_priority() -> None:
    if sys.platform == "linux":  # where this thread's priority isn't the process', and those it starts have it too
        usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
        with suppress(PermissionError):  # where somebody has given the process another one meanwhile
            os.setpriority(os.PRIO_PROCESS, 0, usual + NICENESS)
