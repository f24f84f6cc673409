"""The Aggregation: a query for counts, sums and groups of the rows of one collection."""

import re
from dataclasses import dataclass
from typing import Literal

from app.core.bindings import BoundParameter
from app.core.errors import InvalidQuery
from app.query.collection import Collection, Field
from app.query.filter import MATCH_ALL, Filter, Function, UnknownField, split_function
from app.query.operators import ORDERED_KINDS, TEXT_KINDS
from app.query.read import Constant

AggregateFunction = Literal[
    "countAll", "count", "countDistinct", "avg", "sum", "avgDistinct", "sumDistinct", "min", "max"
]
COUNT_FUNCTIONS: tuple[AggregateFunction, ...] = ("count", "countDistinct")
NUMERIC_FUNCTIONS: tuple[AggregateFunction, ...] = ("avg", "sum", "avgDistinct", "sumDistinct", "min", "max")
EXTREMES: tuple[AggregateFunction, ...] = ("min", "max")
NUMBER_KINDS = ("integer", "bigInteger", "float", "decimal")
EXTREME_KINDS = TEXT_KINDS | ORDERED_KINDS
ROW_COUNTS = ("countAll", "count", "count.*")
"""Sort keys of groups that mean the number of their rows."""

_MEASURE = re.compile(r"(\w+)\.(\w+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Measure:
    """An aggregate of a group of rows: their count if there is no field, else an aggregate of the field."""

    function: AggregateFunction
    field: Field | None = None

    @property
    def is_supported(self) -> bool:
        """Whether the field supports the function: sums need numbers, minimum and maximum need an order."""
        if self.field is None or self.is_numeric:
            return True
        return self.function in EXTREMES and (self.field.kind in EXTREME_KINDS or self.field.concealed)

    @property
    def is_numeric(self) -> bool:
        """Whether the result is a number."""
        return self.field is None or self.function in COUNT_FUNCTIONS or is_number(self.field)


@dataclass(frozen=True, slots=True)
class Group:
    """A grouping key: a field, or a function of a field."""

    field: Field
    function: Function | None = None

    @property
    def key(self) -> str:
        """The key of the group's value in the response, such as `last_access_year`."""
        return f"{self.field.name}_{self.function}" if self.function else self.field.name


@dataclass(frozen=True, slots=True)
class AggregateValue:
    """A measure under its response key; `as_text` returns a number as a string."""

    key: str
    measure: Measure
    as_text: bool = False


@dataclass(frozen=True, slots=True)
class AggregateObject:
    """Several measures as an object: `count { id title }`."""

    key: str
    parts: tuple[AggregateValue | Constant, ...]


@dataclass(frozen=True, slots=True)
class GroupObject:
    """The grouping values of a group as an object; null in a query without groups."""

    key: str


AggregateItem = AggregateValue | AggregateObject | GroupObject | Constant


@dataclass(frozen=True, slots=True)
class GroupSort:
    """A sort key of groups: one of the grouping values, or an aggregate."""

    by: Group | Measure
    descending: bool


@dataclass(frozen=True, slots=True)
class Aggregation:
    """A query for aggregates of the rows of a collection: of all rows together, or of each group.

    `limit` and `offset` count groups, as those of a Read count rows.
    """

    collection: Collection
    select: tuple[AggregateItem, ...]
    groups: tuple[Group, ...] = ()
    filter: Filter = MATCH_ALL
    sort: tuple[GroupSort, ...] = ()
    search: str | BoundParameter | None = None
    limit: int | BoundParameter | None = None
    offset: int | BoundParameter = 0


def is_number(field: Field) -> bool:
    """Return whether a field can be summed; as in Directus, this includes numeric keys."""
    return field.kind in NUMBER_KINDS


def parse_group(collection: Collection, text: str) -> Group:
    """Parse a grouping key such as `status` or `year(last_access)`.

    Raises:
        UnknownField: The field does not exist, or does not support the function.
        InvalidQuery: The key is a path through a relation.
    """
    if "." in text:
        raise InvalidQuery(
            f'"groupBy" accepts only fields of {collection.name} and functions of them, not the path "{text}"'
        )
    return Group(*split_function(collection, text))


def parse_group_sort(collection: Collection, groups: tuple[Group, ...], text: str) -> GroupSort:
    """Parse a sort key of groups: `-count.id`, `count`, or one of the groups as written in `groupBy`.

    Raises:
        UnknownField: The field of an aggregate does not exist, or does not support the function.
        InvalidQuery: The key is neither a group nor an aggregate.
    """
    descending, name = text.startswith("-"), text.removeprefix("-")
    if name in ROW_COUNTS:
        return GroupSort(Measure("countAll"), descending)
    if (measure := _MEASURE.fullmatch(name)) and measure[1] in (*COUNT_FUNCTIONS, *NUMERIC_FUNCTIONS):
        return GroupSort(parse_measure(collection, measure[1], measure[2]), descending)
    for group in groups:
        if name in (group.key, f"{group.function}({group.field.name})"):
            return GroupSort(group, descending)
    raise InvalidQuery(
        f'Groups can be sorted by the fields in "groupBy" or by an aggregate such as "count.id", not by "{name}"'
    )


def parse_measure(collection: Collection, function: str, name: str) -> Measure:
    """Return the measure for a function and a field's name.

    Raises:
        UnknownField: The field does not exist, or does not support the function.
    """
    field = collection.fields.get(name)
    measure = Measure(function, field)  # type: ignore[arg-type]  # every caller passes one of the names above
    if field is None or not measure.is_supported:
        raise UnknownField(collection, name)
    return measure
