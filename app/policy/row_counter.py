"""Counts the rows that a holder gains and loses by a change of its rights."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select

from app.policy.access_difference import ActionDifference, RowComparison
from app.query.collection import Collection
from app.query.scoped import FALSE, Predicate, ScopedRows
from app.query.sql_row_comparison import count_differences, matching_keys

Fetch = Callable[[Select[Any]], Awaitable[Any]]
"""Runs a statement and returns its one row."""


class RowDifference(NamedTuple):
    """How many rows two predicates match, and how many only one of them does."""

    before: int
    after: int
    gained: int
    lost: int


class RowCounter:
    """Counts each pair of predicates on a collection once, as long as time is left.

    `fetch` reads the stored rows. If the changes may write rows that decide, those that the transaction of the changes
    sees are compared with the stored ones by their keys; otherwise one statement on the stored rows counts both.
    """

    def __init__(self, fetch: Fetch, written: frozenset[str]) -> None:
        self._fetch, self._written = fetch, written
        self._counts: dict[tuple[Collection, Predicate, Predicate], RowDifference] = {}

    def depends_on_writes(self, difference: ActionDifference) -> bool:
        """Return whether the changes may write rows that decide which rows a holder has."""
        return bool(difference.reads & self._written)

    def counted(self, collection: Collection, comparison: RowComparison) -> RowDifference | None:
        """Return what has been counted; None if it has not been."""
        return self._counts.get((collection, comparison.before, comparison.after))

    async def count(self, collection: Collection, comparison: RowComparison) -> None:
        """Count the rows of both predicates in the stored rows."""
        if self.counted(collection, comparison) is None:
            scoped = ScopedRows(collection, (comparison.before, comparison.after))
            numbers = await self._fetch(count_differences(scoped))
            self._store(collection, comparison, RowDifference(*map(int, numbers)))

    async def compare(self, collection: Collection, comparison: RowComparison, fetch_written: Fetch) -> None:
        """Compare the stored rows of the first predicate with the rows that a transaction sees of the second."""
        if self.counted(collection, comparison) is None:
            before = await self._keys(self._fetch, collection, comparison.before)
            after = await self._keys(fetch_written, collection, comparison.after)
            difference = RowDifference(len(before), len(after), len(after - before), len(before - after))
            self._store(collection, comparison, difference)

    def _store(self, collection: Collection, comparison: RowComparison, difference: RowDifference) -> None:
        self._counts[collection, comparison.before, comparison.after] = difference

    @staticmethod
    async def _keys(fetch: Fetch, collection: Collection, predicate: Predicate) -> frozenset[str]:
        if predicate == FALSE:
            return frozenset()
        return frozenset(orjson.loads((await fetch(matching_keys(ScopedRows(collection, (predicate,)))))[0]))
