"""Hashes and verifies passwords on a few threads, so that the event loop never waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from app.core.errors import ServiceUnavailable
from app.core.hash_parameters import DEFAULT_HASH_COST, HashCost
from app.passwords.hashers import InProcessHasher, PasswordHasher

T = TypeVar("T")

HASH_THREADS = 2
"""Passwords hashed at once. By default each takes 64 MiB, and a tenth of a second on up to four cores."""
MAX_WAITING = 1000
"""Passwords that may wait for a thread."""
TOO_MANY_WAITING_MESSAGE = "Too many passwords are waiting to be hashed; try again later"
DUMMY_HASH = "$argon2id$v=19$m={0.memory},t={0.time},p={0.parallelism}$bm9ib2R5IGhhcyB0aGlz$" + "A" * 43
"""A hash of any cost that no known password has."""


class HashedPassword(str):
    """A password that has already been hashed."""

    __slots__ = ()


class PasswordService:
    """Hashes and verifies passwords, at most `threads` at once.

    Raises:
        ServiceUnavailable: Too many passwords are waiting, or hashing is unavailable.
    """

    def __init__(
        self, cost: HashCost = DEFAULT_HASH_COST, hasher: PasswordHasher | None = None, threads: int = HASH_THREADS
    ) -> None:
        self._cost, self._dummy_hash, self._hasher = cost, DUMMY_HASH.format(cost), hasher or InProcessHasher()
        self._threads = ThreadPoolExecutor(threads, "passwords")
        self._max_pending, self._pending = threads + MAX_WAITING, 0

    @property
    def pending(self) -> int:
        """Number of passwords that are hashed or wait for it."""
        return self._pending

    async def hash(self, password: str) -> HashedPassword:
        """Return the hash of a password of 1 to 1,024 characters."""
        return HashedPassword(await self._run(lambda: self._hasher.hash(password, self._cost)))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Return whether a password matches a hash. Without a hash it is False, and takes as long."""
        matches = await self._run(lambda: self._hasher.verify(password, hashed or self._dummy_hash))
        return matches and hashed is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= self._max_pending:
            raise ServiceUnavailable(TOO_MANY_WAITING_MESSAGE)
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._pending -= 1
