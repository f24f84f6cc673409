"""The limits of one query: rows, depth, joins, size."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from app.core.bindings import Bindings, BoundParameter, Slot
from app.core.errors import InvalidQuery
from app.query.aggregate import Aggregation
from app.query.collection import Collection
from app.query.filter import filter_depth
from app.query.legacy_fields import with_legacy_fields
from app.query.read import Read, RelationSelection
from app.query.size import DEFAULT_SIZE_LIMITS, SizeCounter, SizeLimits

MAX_JOINED_RELATIONS = 50
"""To-one relations that one list may join; SQLite joins at most 64 tables."""


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """The limits of one request, as configured.

    `default_rows` applies to queries without a limit, `max_rows` to all. `max_depth` is the number of fields in a path,
    `max_tokens` the length of a document, `max_batch_size` the number of rows that one mutation may write.
    `introspection` allows queries for the schema, `legacy_fields` the fields of Directus 10. `size` limits what a query
    contains.
    """

    default_rows: int = 100
    max_rows: int | None = None
    max_depth: int = 10
    max_tokens: int = 5000
    introspection: bool = True
    max_batch_size: int | None = None
    legacy_fields: bool = False
    size: SizeLimits = DEFAULT_SIZE_LIMITS

    def registry_view(self, collection: Collection) -> Collection:
        """Return the collection with the fields that queries may name."""
        return with_legacy_fields(collection) if self.legacy_fields else collection

    def size_counter(self) -> SizeCounter:
        """Return a counter for one query."""
        return SizeCounter(self.size)

    def window(self, limit: int | None, offset: int | None, page: int | None) -> tuple[int | None, int]:
        """Return the maximum number of rows (None for all) and the number of rows to skip.

        A `limit` of -1 means all rows. A `page` counts from 1 and takes precedence over an offset.

        Raises:
            InvalidQuery: A value is out of range.
        """
        if any(isinstance(value, Slot) for value in (limit, offset, page)):
            return self._bound_window(limit, offset, page)
        return self._plain_window(limit, offset, page)

    def _plain_window(self, limit: int | None, offset: int | None, page: int | None) -> tuple[int | None, int]:
        for name, value, minimum in (("limit", limit, -1), ("offset", offset, 0), ("page", page, 0)):
            if value is not None and value < minimum:
                raise InvalidQuery(f'"{name}" must be greater than or equal to {minimum}')
        rows = self.default_rows if limit is None else limit
        if self.max_rows is not None:
            if limit is not None and limit > self.max_rows:
                raise InvalidQuery(f'"limit" must be less than or equal to {self.max_rows}')
            rows = self.max_rows if rows == -1 else min(rows, self.max_rows)
        skipped = (page - 1) * max(rows, 0) if page else offset or 0
        return (None if rows == -1 else rows), skipped

    def _bound_window(self, *arguments: Any) -> tuple[Any, Any]:
        """Return the window of a plan as parameters that are computed for each request.

        Only whether there is a limit at all is fixed in the plan.
        """
        sample = self._plain_window(*(None if value is None else int(value) for value in arguments))
        sources = tuple(value.source for value in arguments if isinstance(value, Slot))
        parts = [value.source if isinstance(value, Slot) else value for value in arguments]

        def compute(bindings: Bindings, index: int) -> Any:
            values = [bindings[part] if isinstance(part, str) else part for part in parts]
            return self._plain_window(*values)[index]

        name = f"window:{parts}"
        rows, skipped = (
            BoundParameter(f"{name}[{index}]", sources, sample[index], partial(compute, index=index))
            for index in (0, 1)
        )
        return (None if sample[0] is None else rows), (0 if arguments[1:] == (None, None) else skipped)


def check_complexity(query: Read | Aggregation, max_depth: int) -> None:
    """Check the depth of a query and the number of its joins.

    Raises:
        InvalidQuery: A path in the selection, filter or sort has more than `max_depth` fields, or one list selects more
            than `MAX_JOINED_RELATIONS` to-one relations.
    """
    joins, depth = (
        (max(_joins(query)), _read_depth(query)) if isinstance(query, Read) else (0, filter_depth(query.filter))
    )
    if joins > MAX_JOINED_RELATIONS:
        raise InvalidQuery(f"A list may select at most {MAX_JOINED_RELATIONS} to-one relations")
    if depth > max_depth:
        raise depth_error(max_depth)


def depth_error(max_depth: int) -> InvalidQuery:
    """Return the error for a query with a path of more than `max_depth` fields."""
    return InvalidQuery(f"Max relational depth exceeded. At most {max_depth} fields are allowed in a path")


def _joins(read: Read) -> tuple[int, int]:
    """Return the number of to-one relations joined by the read's own list, and by the largest list nested in it."""
    own = largest = 0
    for item in read.select:
        if isinstance(item, RelationSelection):
            joins, nested = _joins(item.read)
            own += 0 if item.field.many else 1 + joins
            largest = max(largest, nested, joins if item.field.many else 0)
    return own, largest


def _read_depth(read: Read) -> int:
    nested = (1 + _read_depth(item.read) if isinstance(item, RelationSelection) else 1 for item in read.select)
    sorts = (len(sort.path) + 1 for sort in read.sort)
    return max(filter_depth(read.filter), *nested, *sorts, 0)
