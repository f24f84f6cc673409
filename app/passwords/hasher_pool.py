"""Passwords on their way in: judged while they can be read, and hashed before anybody has to wait for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from app.core.errors import ServiceUnavailable
from app.core.hashing import DEFAULT_HASH_COST, HashCost
from app.passwords.hashers import InProcessHasher, PasswordHasher

T = TypeVar("T")

HASH_THREADS = 2
"""Passwords hashed at once: each takes 64 MiB, and a tenth of a second on as many as four cores, unless that is set."""
WAITING = 1000
"""Passwords that may wait for it."""
CROWDED = "Too many passwords are waiting to be looked at; try again in a moment"
DUMMY_HASH = "$argon2id$v=19$m={0.memory},t={0.time},p={0.parallelism}$bm9ib2R5IGhhcyB0aGlz$" + "A" * 43
"""A hash that no password is known for, of some cost."""


class HashedPassword(str):
    """A password that has been hashed already."""

    __slots__ = ()


class PasswordService:
    """Hashes passwords, a few at a time, away from the event loop.

    Raises ServiceUnavailable where more than a thousand are waiting, or nobody can hash just now.
    """

    def __init__(
        self, cost: HashCost = DEFAULT_HASH_COST, hasher: PasswordHasher | None = None, lanes: int = HASH_THREADS
    ) -> None:
        self._cost, self._nobodys, self._hasher = cost, DUMMY_HASH.format(cost), hasher or InProcessHasher()
        self._lanes = ThreadPoolExecutor(lanes, "passwords")
        self._most, self._under_way = lanes + WAITING, 0

    async def hash(self, password: str) -> HashedPassword:
        """A password of 1 to 1,024 characters -> its hash."""
        return HashedPassword(await self._aside(lambda: self._hasher.hash(password, self._cost)))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether a password is the one behind a hash; where there is none, it takes as long to say no."""
        return await self._aside(lambda: self._hasher.verify(password, hashed or self._nobodys)) and hashed is not None

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._under_way >= self._most:
            raise ServiceUnavailable(CROWDED)
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._lanes, work)
        finally:
            self._under_way -= 1
