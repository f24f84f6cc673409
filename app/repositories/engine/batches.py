"""Reads a long result in batches, so that neither the whole result nor a connection is held meanwhile."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from app.core.errors import ServiceUnavailable
from app.policy.rules import Access
from app.query.read import Read
from app.query.results import Row
from app.query.scoped import ScopedRead
from app.repositories.engine.reading import ACCESS_CHANGED_TOO_OFTEN, ReadRepository

BATCH_SIZE = 250
"""Rows per batch."""


class KeysetReader:
    """Reads the keys of a query's rows once, then the rows in batches.

    The keys fix the rows and their order: no row comes twice, and rows created meanwhile are left out. Each batch is a
    statement of its own, run with the caller's current access; rows that are gone or no longer match are left out.
    """

    def __init__(self, repository: ReadRepository, build: Callable[[Access], Read], size: int = BATCH_SIZE) -> None:
        self._repository, self._build, self._size = repository, build, size
        self._keys: list[Any] = []

    async def begin(self) -> Read:
        """Read the keys and return the query as built for the caller's access; raises as `ReadRepository.read` does."""
        queries: list[Read] = []

        def keys(access: Access) -> ScopedRead:
            queries.append(self._build(access))
            return self._repository.resolver(queries[-1], access).select_keys(queries[-1])

        self._keys = list(await self._repository.read_scoped(keys))
        return queries[-1]

    async def rows(self, query: Read) -> AsyncGenerator[list[Row], None]:
        """Yield the rows of a query that `begin` returned, in batches.

        Raises:
            ServiceUnavailable: The query now means something else for the caller, such as other fields.
            RollcallError: As `ReadRepository.read`, for example if a permission was revoked meanwhile.
        """

        def scope(access: Access) -> ScopedRead:
            if self._build(access) != query:
                raise ServiceUnavailable(ACCESS_CHANGED_TOO_OFTEN)
            return self._repository.resolver(query, access).scope_keys(query, batch)

        for start in range(0, len(self._keys), self._size):
            batch = self._keys[start : start + self._size]
            yield await self._repository.read_scoped(scope)
