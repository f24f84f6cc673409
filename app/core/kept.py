"""What is remembered to be quick, and forgotten in time."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")


class Kept(Generic[K, V]):
    """The things used last, `most` of them at most."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._things: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    def get(self, key: K, default: D) -> V | D:
        """What is kept under a key, which is thereby used; `default` where nothing is."""
        try:
            found = self._things[key]
        except KeyError:
            return default
        self._things.move_to_end(key)
        return found

    def keep(self, key: K, thing: V) -> V:
        """Keeps one more, and lets the one go that wasn't used for longest where there are too many; gives it back."""
        self._things[key] = thing
        self._things.move_to_end(key)
        if len(self._things) > self.most:
            self._things.popitem(last=False)
        return thing

    def drop(self, key: K) -> None:
        """Forgets one, if it is there."""
        self._things.pop(key, None)
