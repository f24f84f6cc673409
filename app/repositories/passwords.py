"""Passwords on their way in: judged while they can be read, and hashed before anybody has to wait for it."""

import asyncio
from typing import Any

from app.core.errors import FailedValidation, InvalidPayload, ValueTooLong
from app.core.security import LONGEST_PASSWORD, hash_password, verify_password
from app.query.collection import SETTINGS, USERS
from app.query.operators import read_pattern
from app.query.payload import Path

LANES = 4
"""Passwords hashed at once: each takes 64 MiB, and a tenth of a second of four cores."""
NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5IGhhcyB0aGlz$" + "A" * 43
"""A hash that no password is known for."""


class Hashed(str):
    """A password that has been hashed already."""

    __slots__ = ()


class Passwords:
    """Hashes passwords, a few at a time, away from the event loop."""

    def __init__(self) -> None:
        self._lanes = asyncio.Semaphore(LANES)

    async def hashed(self, password: str) -> Hashed:
        """A password of 1 to 1,024 characters -> its hash."""
        async with self._lanes:
            return Hashed(await asyncio.to_thread(hash_password, password))

    async def verified(self, password: str, hashed: str | None) -> bool:
        """Whether a password is the one behind a hash; where there is none, it takes as long to say no."""
        async with self._lanes:
            return await asyncio.to_thread(verify_password, password, hashed or NOBODYS) and hashed is not None


def check_password(password: Any, policy: str | None, path: Path = ()) -> None:
    """Raises FailedValidation for a password that is empty or that the project's `policy` doesn't like.

    And ValueTooLong for one of more than 1,024 characters, InvalidPayload where the policy is no regular expression.
    """
    if password == "":
        raise FailedValidation("password", "nempty", path)
    if password is not None and len(password) > LONGEST_PASSWORD:
        raise ValueTooLong(USERS.name, "password")
    if policy:
        try:
            fits = password is not None and read_pattern(policy).search(password)
        except ValueError:
            raise InvalidPayload(f'"auth_password_policy" of {SETTINGS.name} is no regular expression') from None
        if not fits:
            raise FailedValidation("password", "regex", path)
