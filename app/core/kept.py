"""What is remembered to be quick, and forgotten in time."""

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

_NOTHING: Any = object()


class Kept(Generic[K, V]):
    """The things used last: `most` of them at most, which are 2 or more, and about half as many for certain.

    Those used lately lie apart from those used before; once they are too many they are those used before, and what
    was that goes. So looking for one of them costs little more than a dictionary does, and nothing is put in order.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._lately: dict[K, V] = {}
        self._before: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._lately) + len(self._before)

    def get(self, key: K, default: D) -> V | D:
        """What is kept under a key, which is thereby used; `default` where nothing is."""
        found = self._lately.get(key, _NOTHING)
        return self._again(key, default) if found is _NOTHING else found

    def keep(self, key: K, thing: V) -> V:
        """Keeps one more, and lets those go that weren't used for longest where there are too many; gives it back."""
        if len(self._lately) >= self.most // 2 and key not in self._lately:
            self._lately, self._before = {}, self._lately
        self._before.pop(key, None)
        self._lately[key] = thing
        return thing

    def drop(self, key: K) -> None:
        """Forgets one, if it is there."""
        self._lately.pop(key, None)
        self._before.pop(key, None)

    def _again(self, key: K, default: D) -> V | D:
        found = self._before.pop(key, _NOTHING)
        return default if found is _NOTHING else self.keep(key, found)
