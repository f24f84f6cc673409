"""What is remembered to be quick, and forgotten in time."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

_CHARACTERS = 2_000


def entry_weight(length: int) -> int:
    """What something made of a text of so many characters counts as: 1 for each 2,000 that are begun."""
    return 1 + length // _CHARACTERS


class LRUCache(Generic[K, V]):
    """The things used last: `most` of them at most, which are 2 or more, and about half as many for certain.

    A thing may weigh as much as several, so that few large ones take no more memory than many small ones.

    Those used lately lie apart from those used before; once they are too many they are those used before, and what
    was that goes. So looking for one of them costs little more than a dictionary does, and nothing is put in order.
    """

    def __init__(self, max_weight: int) -> None:
        self.max_weight = max_weight
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}
        self._weight = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K, default: D) -> V | D:
        """What is kept under a key, which is thereby used; `default` where nothing is."""
        found = self._young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is None:
                return default
            self.set(key, *found)
        return found[0]

    def set(self, key: K, value: V, weight: int = 1) -> V:
        """Keeps one more, and lets those go that weren't used for longest where there are too many; gives it back.

        Its `weight` is from 1; what is heavier than all that may be kept for certain is kept until the next comes.
        """
        self._old.pop(key, None)
        if key in self._young:
            self.discard(key)
        if self._young and self._weight + weight > self.max_weight // 2:
            self._young, self._old, self._weight = {}, self._young, 0
        self._young[key] = value, weight
        self._weight += weight
        return value

    def discard(self, key: K) -> None:
        """Forgets one, if it is there."""
        self._old.pop(key, None)
        gone = self._young.pop(key, None)
        if gone is not None:
            self._weight -= gone[1]
