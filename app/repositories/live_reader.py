"""Plans live queries, and reads their rows: those of many queries with one statement if only their values differ."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import orjson

from app.core.bindings import Bindings
from app.core.cache import LRUCache
from app.core.errors import Forbidden
from app.policy.caller_parameters import parameterize_access
from app.policy.rules import Access, AccessShape
from app.query.collection import Collection
from app.query.payload import parse_key
from app.query.read import Read
from app.query.results import Row
from app.query.sql_batch import NUMBER, VALUE_SETS
from app.repositories.live_query import BatchStatement, LiveQuery, LiveShape
from app.repositories.services import Services
from app.repositories.stores.events import MAX_UNREAD_OWNERS

MAX_SHAPES = 2048
"""Maximum number of shapes that are cached; those in use exist anyway."""


class AccessCheck(NamedTuple):
    """What was true of rights at the moment of a statement.

    `version` is that of all rights. `owners` are users whose access may have changed after the events that were read;
    None means that it may be that of everyone.
    """

    version: str
    owners: frozenset[str] | None


class LiveReader:
    """Plans and reads live queries. Reading runs on the primary: a replica may not have applied a commit yet.

    Its methods that read raise ServiceUnavailable if the database is unavailable, and SchemaChanged if the fields of
    the directory have changed.
    """

    def __init__(self, services: Services, max_rows: int) -> None:
        self._services, self._max_rows = services, max_rows
        self._shapes: LRUCache[tuple[AccessShape, Read], LiveShape] = LRUCache(MAX_SHAPES)
        self._batches: WeakValueDictionary[Any, BatchStatement] = WeakValueDictionary()

    def plan(self, read: Read, access: Access) -> LiveQuery:
        """Return the live query of a read with an access; takes milliseconds if the shape is new.

        Raises:
            Forbidden: The caller may not read the collection, or may read one of the fields on no row.
            InvalidQuery: The query exceeds a limit.
        """
        shape = self._shapes.get((access.shape, read), None)
        if shape is None:
            shape = LiveShape(read, parameterize_access(access), self._services, self._max_rows)
            shape.batch = self._batches.setdefault(shape.batch.key, shape.batch)
            if not shape.literal_sources:
                self._shapes.set((access.shape, read), shape)
        return LiveQuery(shape, access.bindings)

    async def read_all(self, query: LiveQuery, mark: str) -> tuple[list[Row], AccessCheck]:
        """Return all rows that a query shows, one more than allowed at most, and the rights after a mark."""
        shape = query.shape
        check, rows = await self._fetch(shape.all_rows, {**query.bindings, "mark": mark})
        return shape.decode_all(rows), check

    async def read(
        self, queries: Sequence[LiveQuery], keys: Sequence[str], mark: str
    ) -> tuple[list[list[Row]], AccessCheck]:
        """Return the rows with these keys that each query of one batch shows, and the rights after a mark."""
        first = queries[0].shape
        sets = [{NUMBER: number, **query.values} for number, query in enumerate(queries)]
        bindings = {"mark": mark, "keys": _parsed(first.collection, keys), VALUE_SETS: orjson.dumps(sets).decode()}
        check, pairs = await self._fetch(first.batch.statement, bindings)
        rows: list[list[Row]] = [[] for _ in queries]
        for number, row in orjson.loads(pairs):
            rows[number].append(first.batch.decode(row))
        return rows, check

    async def _fetch(self, statement: Any, bindings: Bindings) -> tuple[AccessCheck, str]:
        version, unread, rows = await self._services.reader.fetch_one(
            statement, {**bindings, "now": self._services.clock()}
        )
        owners = orjson.loads(unread or "[]")
        everyone = None in owners or len(owners) >= MAX_UNREAD_OWNERS
        return AccessCheck(version, None if everyone else frozenset(owners)), rows


def _parsed(collection: Collection, keys: Sequence[str]) -> list[Any]:
    parsed = []
    for key in keys:
        try:
            parsed.append(parse_key(collection, key))
        except Forbidden:
            continue
    return parsed
