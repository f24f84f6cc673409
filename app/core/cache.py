"""A bounded cache."""

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

_CHARACTERS_PER_WEIGHT = 2_000


def entry_weight(length: int) -> int:
    """Return the weight of an entry made from a text of `length` characters: 1, plus 1 for each full 2,000."""
    return 1 + length // _CHARACTERS_PER_WEIGHT


class LRUCache(Generic[K, V]):
    """An approximate LRU cache with entry weights; `max_weight` is at least 2.

    An entry may weigh as much as several others, so that a few large ones take no more memory than many small ones.

    Entries live in two dictionaries. When the young one would exceed half of `max_weight` it becomes the old one, and
    the former old one is dropped (the "hashlru" algorithm), so a hit costs little more than one dictionary look-up and
    nothing is reordered. The most recently used entries up to half of `max_weight` are always retained.

    Threads may share a cache. Only changes take the lock: at worst, an entry that another thread moves is not found.
    """

    def __init__(self, max_weight: int) -> None:
        self.max_weight = max_weight
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}
        self._young_weight = 0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K, default: D) -> V | D:
        """Return the cached value and mark it as used, or return `default` if the key is absent."""
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.pop(key, None)
            if entry is None:
                return default
            self.set(key, *entry)
        return entry[0]

    def set(self, key: K, value: V, weight: int = 1) -> V:
        """Store a value, evicting the least recently used ones if necessary, and return it.

        `weight` is at least 1. An entry heavier than half of `max_weight` is retained until the next one is stored.
        """
        with self._lock:
            self.discard(key)
            if self._young and self._young_weight + weight > self.max_weight // 2:
                self._young, self._old, self._young_weight = {}, self._young, 0
            self._young[key] = value, weight
            self._young_weight += weight
        return value

    def discard(self, key: K) -> None:
        """Remove an entry if it is present."""
        with self._lock:
            self._old.pop(key, None)
            entry = self._young.pop(key, None)
            if entry is not None:
                self._young_weight -= entry[1]
