"""The parameters of password hashing: what it costs, and how long a password may be."""

from dataclasses import dataclass

MAX_PASSWORD_LENGTH = 1024
MAX_PASSWORD_HISTORY = 24
"""With how many passwords a new one can be compared; each comparison takes as long as a login."""


@dataclass(frozen=True, slots=True)
class HashCost:
    """The cost of hashing a password; the defaults are those of Directus."""

    memory: int = 65536
    """KiB of memory."""
    time: int = 3
    """Passes over the memory."""
    parallelism: int = 4
    """Threads."""


DEFAULT_HASH_COST = HashCost()


def has_hashable_length(password: str) -> bool:
    """Return whether a password has 1 to 1,024 characters."""
    return 1 <= len(password) <= MAX_PASSWORD_LENGTH
