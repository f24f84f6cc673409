"""Aggregation: what a caller wants counted, summed and grouped of one collection."""

import re
from dataclasses import dataclass
from typing import Literal

from app.core.bindings import BoundParameter
from app.core.errors import InvalidQuery
from app.query.collection import Collection, Field
from app.query.filter import MATCH_ALL, Filter, Function, UnknownField, split_function
from app.query.read import Constant

AggregateFunction = Literal[
    "countAll", "count", "countDistinct", "avg", "sum", "avgDistinct", "sumDistinct", "min", "max"
]
COUNT_FUNCTIONS: tuple[AggregateFunction, ...] = ("count", "countDistinct")
NUMERIC_FUNCTIONS: tuple[AggregateFunction, ...] = ("avg", "sum", "avgDistinct", "sumDistinct", "min", "max")

_MEASURE = re.compile(r"(\w+)\.(\w+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Measure:
    """One number told of a group of rows: how many there are (no field), or something about a field of theirs."""

    function: AggregateFunction
    field: Field | None = None

    @property
    def is_supported(self) -> bool:
        """Whether it can be told of its field: only numbers are added up, only what has an order has a least."""
        if self.field is None or self.is_numeric:
            return True
        return self.function in ("min", "max") and (self.field.kind == "timestamp" or self.field.concealed)

    @property
    def is_numeric(self) -> bool:
        """Whether it is a number."""
        return self.field is None or self.function in COUNT_FUNCTIONS or is_number(self.field)


@dataclass(frozen=True, slots=True)
class Group:
    """What rows are put together by: a field, or a function of one."""

    field: Field
    function: Function | None = None

    @property
    def key(self) -> str:
        """The name under which the group's value is told, such as `last_access_year`."""
        return f"{self.field.name}_{self.function}" if self.function else self.field.name


@dataclass(frozen=True, slots=True)
class AggregateValue:
    """A measure under the key the answer shall carry; `text` where a number shall be told as a text."""

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
    """The values that a group's rows share, as an object; null where nothing is grouped."""

    key: str


AggregateItem = AggregateValue | AggregateObject | GroupObject | Constant


@dataclass(frozen=True, slots=True)
class GroupSort:
    """One sort key of groups: a value they share, or a number told of them."""

    by: Group | Measure
    descending: bool


@dataclass(frozen=True, slots=True)
class Aggregation:
    """What a caller wants told of the rows of a collection: of all of them together, or of each group.

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
    """Whether a field can be calculated with; Directus counts numbers that are keys too."""
    return field.kind in ("integer", "bigInteger")


def parse_group(collection: Collection, text: str) -> Group:
    """`status` or `year(last_access)` -> what to group by.

    Raises UnknownField for what isn't there, InvalidQuery for a path through a relation.
    """
    if "." in text:
        raise InvalidQuery(
            f'"groupBy" takes fields of {collection.name} itself and functions of them, "{text}" leads further'
        )
    return Group(*split_function(collection, text))


def parse_group_sort(collection: Collection, groups: tuple[Group, ...], text: str) -> GroupSort:
    """`-count.id`, `countAll`, or one of the groups as `groupBy` spells it -> a sort key.

    Raises UnknownField for a measure of what isn't there, InvalidQuery for what groups can't be sorted by.
    """
    descending, name = text.startswith("-"), text.removeprefix("-")
    if name == "countAll":
        return GroupSort(Measure("countAll"), descending)
    if (measure := _MEASURE.fullmatch(name)) and measure[1] in (*COUNT_FUNCTIONS, *NUMERIC_FUNCTIONS):
        return GroupSort(parse_measure(collection, measure[1], measure[2]), descending)
    for group in groups:
        if name in (group.key, f"{group.function}({group.field.name})"):
            return GroupSort(group, descending)
    raise InvalidQuery(
        f'Groups can be sorted by what they are grouped by, or by an aggregate such as "count.id", not by "{name}"'
    )


def parse_measure(collection: Collection, function: str, name: str) -> Measure:
    """A measure's function and the name of its field -> the measure; UnknownField where the two don't fit."""
    field = collection.fields.get(name)
    if field is None or (function in NUMERIC_FUNCTIONS and not is_number(field)):
        raise UnknownField(collection, name)
    return Measure(function, field)  # type: ignore[arg-type]  # every caller takes it from the names above
