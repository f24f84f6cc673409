"""How much one question may ask for."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from app.core.bindings import Bindings, BoundParameter, Slot
from app.core.errors import InvalidQuery
from app.query.aggregate import Aggregation
from app.query.collection import Collection
from app.query.filter import filter_depth
from app.query.legacy_fields import LEGACY_COLLECTIONS
from app.query.read import Read, RelationSelection

MAX_JOINED_RELATIONS = 50
"""To-one relations of one list; SQLite joins 64 tables at most."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """How much one question may ask for.

    Rows where it doesn't say (`default`) and at `most`, fields that follow one another (`depth`), `tokens` of a
    document; whether the schema itself may be asked for (`introspection`); rows that one mutation may write (`batch`);
    whether fields that Directus 10 had may be asked for (`former`).
    """

    default_rows: int = 100
    max_rows: int | None = None
    max_depth: int = 10
    max_tokens: int = 5000
    introspection: bool = True
    max_batch_size: int | None = None
    legacy_fields: bool = False

    def registry_view(self, collection: Collection) -> Collection:
        """A collection with the fields that may be asked for."""
        return LEGACY_COLLECTIONS[collection.name] if self.legacy_fields else collection

    def window(self, limit: int | None, offset: int | None, page: int | None) -> tuple[int | None, int]:
        """`limit`, `offset` and `page` as a client gives them -> rows to answer (None: all) and rows to skip.

        -1 asks for all rows; a page counts from 1 and wins over an offset. Raises InvalidQuery.
        """
        if any(isinstance(value, Slot) for value in (limit, offset, page)):
            return self._bound_window(limit, offset, page)
        return self._plain_window(limit, offset, page)

    def _plain_window(self, limit: int | None, offset: int | None, page: int | None) -> tuple[int | None, int]:
        for name, value, least in (("limit", limit, -1), ("offset", offset, 0), ("page", page, 0)):
            if value is not None and value < least:
                raise InvalidQuery(f'"{name}" must be greater than or equal to {least}')
        rows = self.default_rows if limit is None else limit
        if self.max_rows is not None:
            if limit is not None and limit > self.max_rows:
                raise InvalidQuery(f'"limit" must be less than or equal to {self.max_rows}')
            rows = self.max_rows if rows == -1 else min(rows, self.max_rows)
        skipped = (page - 1) * max(rows, 0) if page else offset or 0
        return (None if rows == -1 else rows), skipped

    def _bound_window(self, *asked: Any) -> tuple[Any, Any]:
        """The same for a plan: which rows is found out anew for every request, but for whether it is all of them."""
        planned = self._plain_window(*(None if value is None else int(value) for value in asked))
        drawn = tuple(value.source for value in asked if isinstance(value, Slot))
        parts = [value.source if isinstance(value, Slot) else value for value in asked]

        def part(given: Bindings, at: int) -> Any:
            values = [given[value] if isinstance(value, str) else value for value in parts]
            return self._plain_window(*values)[at]

        name = f"window:{parts}"
        rows, skipped = (BoundParameter(f"{name}[{at}]", drawn, planned[at], partial(part, at=at)) for at in (0, 1))
        return (None if planned[0] is None else rows), (0 if asked[1:] == (None, None) else skipped)


def check_complexity(query: Read | Aggregation, max_depth: int) -> None:
    """Raises InvalidQuery where a selection, a filter or a sort walks further than `most` fields.

    So it does where one list wants more to-one relations than a statement can join.
    """
    joined, walked = (
        (max(_joins(query)), _read_depth(query)) if isinstance(query, Read) else (0, filter_depth(query.filter))
    )
    if joined > MAX_JOINED_RELATIONS:
        raise InvalidQuery(f"At most {MAX_JOINED_RELATIONS} to-one relations may be asked for in one list")
    if walked > max_depth:
        raise depth_error(max_depth)


def depth_error(max_depth: int) -> InvalidQuery:
    """What is said of a question that walks further than `most` fields."""
    return InvalidQuery(f"Max relational depth exceeded. At most {max_depth} fields may follow one another")


def _joins(read: Read) -> tuple[int, int]:
    """The to-one relations joined for a read's own list, and for the fullest list below it."""
    own = fullest = 0
    for item in read.select:
        if isinstance(item, RelationSelection):
            inner, below = _joins(item.read)
            own += 0 if item.field.many else 1 + inner
            fullest = max(fullest, below, inner if item.field.many else 0)
    return own, fullest


def _read_depth(read: Read) -> int:
    below = (1 + _read_depth(item.read) if isinstance(item, RelationSelection) else 1 for item in read.select)
    sorts = (len(sort.path) + 1 for sort in read.sort)
    return max(filter_depth(read.filter), *below, *sorts, 0)
