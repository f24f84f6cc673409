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

    def __init__(self, most: int) -> None:
        self.most = most
        self._lately: dict[K, tuple[V, int]] = {}
        self._before: dict[K, tuple[V, int]] = {}
        self._weight = 0

    def __len__(self) -> int:
        return len(self._lately) + len(self._before)

    def get(self, key: K, default: D) -> V | D:
        """What is kept under a key, which is thereby used; `default` where nothing is."""
        found = self._lately.get(key)
        if found is None:
            found = self._before.pop(key, None)
            if found is None:
                return default
            self.set(key, *found)
        return found[0]

    def set(self, key: K, thing: V, weight: int = 1) -> V:
        """Keeps one more, and lets those go that weren't used for longest where there are too many; gives it back.

        Its `weight` is from 1; what is heavier than all that may be kept for certain is kept until the next comes.
        """
        self._before.pop(key, None)
        if key in self._lately:
            self.discard(key)
        if self._lately and self._weight + weight > self.most // 2:
            self._lately, self._before, self._weight = {}, self._lately, 0
        self._lately[key] = thing, weight
        self._weight += weight
        return thing

    def discard(self, key: K) -> None:
        """Forgets one, if it is there."""
        self._before.pop(key, None)
        gone = self._lately.pop(key, None)
        if gone is not None:
            self._weight -= gone[1]
