"""Password hashing in the format of Directus."""

import warnings
from typing import Any

from app.core.hash_parameters import DEFAULT_HASH_COST, MAX_PASSWORD_LENGTH, HashCost, has_hashable_length

with warnings.catch_warnings():
    # passlib uses a deprecated attribute of argon2-cffi and imports a deprecated module of the standard library
    warnings.filterwarnings("ignore", "Accessing argon2.__version__", DeprecationWarning)
    warnings.filterwarnings("ignore", "'crypt' is deprecated", DeprecationWarning)
    from passlib.hash import argon2

    _hasher: Any = argon2
    _hasher.set_backend("argon2_cffi")  # loads the backend here, where its warnings are ignored


def hash_password(password: str, cost: HashCost = DEFAULT_HASH_COST) -> str:
    """Return the argon2id hash of a password.

    Raises:
        ValueError: The password does not have 1 to 1,024 characters.
    """
    if not has_hashable_length(password):
        raise ValueError(f"A password must have 1 to {MAX_PASSWORD_LENGTH} characters")
    hasher = _hasher.using(type="ID", memory_cost=cost.memory, time_cost=cost.time, parallelism=cost.parallelism)
    hashed: str = hasher.hash(password)
    return hashed


def verify_password(password: str, hashed: str) -> bool:
    """Return whether a password matches a hash.

    False for a password of invalid length and for a hash that is not an argon2 hash.
    """
    if not has_hashable_length(password):
        return False
    try:
        return bool(_hasher.verify(password, hashed))
    except ValueError:
        return False
