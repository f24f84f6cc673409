"""Passwords and their hashes, in the form Directus writes and reads."""

import warnings
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    # passlib asks argon2-cffi for its version in a way that is to end, and imports a module that has ended.
    warnings.filterwarnings("ignore", "Accessing argon2.__version__", DeprecationWarning)
    warnings.filterwarnings("ignore", "'crypt' is deprecated", DeprecationWarning)
    from passlib.hash import argon2

    _hasher: Any = argon2
    _hasher.set_backend("argon2_cffi")  # here, where its warnings are expected

MAX_PASSWORD_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class HashCost:
    """What it costs to try a password: KiB of memory, passes over them, and threads; Directus' own unless set."""

    memory: int = 65536
    time: int = 3
    parallelism: int = 4


DEFAULT_HASH_COST = HashCost()


def hash_password(password: str, cost: HashCost = DEFAULT_HASH_COST) -> str:
    """A password of 1 to 1,024 characters -> its argon2id hash; ValueError for another length."""
    if not 1 <= len(password) <= MAX_PASSWORD_LENGTH:
        raise ValueError(f"A password has 1 to {MAX_PASSWORD_LENGTH} characters.")
    costly = _hasher.using(type="ID", memory_cost=cost.memory, time_cost=cost.time, parallelism=cost.parallelism)
    hashed: str = costly.hash(password)
    return hashed


def verify_password(password: str, hashed: str) -> bool:
    """Whether a password is the one behind a hash; never for one that is too long, or a hash that isn't argon2's."""
    if not 1 <= len(password) <= MAX_PASSWORD_LENGTH:
        return False
    try:
        return bool(_hasher.verify(password, hashed))
    except ValueError:
        return False
