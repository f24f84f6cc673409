"""The rows of one long answer, a batch at a time: no more of them are held in memory, and no connection in between."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from app.core.errors import ServiceUnavailable
from app.policy.rules import Access
from app.query.read import Read
from app.query.results import Row
from app.query.scoped import ScopedRead
from app.repositories.engine.reading import ACCESS_CHANGED_TOO_OFTEN, ReadRepository

SIZE = 250
"""Rows of a batch."""


class KeysetReader:
    """The rows that a question finds, so many at a time.

    Which rows, and in which order, is found out once, by their keys: none comes twice, and none that is new meanwhile.
    Each batch is then a statement of its own, with the rights that the caller has at that moment, and tells its rows as
    they are then; what is gone, or no longer fits the question, is left out. Nobody waits for a slow reader.
    """

    def __init__(self, reading: ReadRepository, ask: Callable[[Access], Read], size: int = SIZE) -> None:
        self._reading, self._ask, self._size = reading, ask, size
        self._keys: list[Any] = []

    async def begin(self) -> Read:
        """The question as the caller's rights understand it; raises as `Reading.read` does."""
        found: list[Read] = []

        def keys(access: Access) -> ScopedRead:
            found.append(self._ask(access))
            return self._reading.resolver(found[-1], access).select_keys(found[-1])

        self._keys = list(await self._reading.read_scoped(keys))
        return found[-1]

    async def rows(self, begun: Read) -> AsyncGenerator[list[Row], None]:
        """The batches of a question that was begun.

        Raises as `Reading.read` does where a right has gone meanwhile, and ServiceUnavailable where the question now
        means something else, such as other fields.
        """

        def scope(access: Access) -> ScopedRead:
            if self._ask(access) != begun:
                raise ServiceUnavailable(ACCESS_CHANGED_TOO_OFTEN)
            return self._reading.resolver(begun, access).scope_keys(begun, batch)

        for at in range(0, len(self._keys), self._size):
            batch = self._keys[at : at + self._size]
            yield await self._reading.read_scoped(scope)
