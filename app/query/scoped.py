"""The scoped query: a query that contains the caller's permissions as predicates."""

from dataclasses import dataclass
from typing import Any

from app.core.bindings import BoundParameter
from app.query.aggregate import AggregateFunction
from app.query.collection import Collection, Field
from app.query.filter import Function, Quantifier


@dataclass(frozen=True, slots=True)
class AllOf:
    """True if every part is true; always true without parts."""

    parts: tuple["Predicate", ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True if at least one part is true; never true without parts."""

    parts: tuple["Predicate", ...] = ()


@dataclass(frozen=True, slots=True)
class Operand:
    """A field of a row as one scope sees it.

    The value is null on rows where `visible` is false. If it is `masked`, only its presence can be seen.
    """

    field: Field
    visible: "Predicate" = AllOf()
    masked: bool = False
    function: Function | None = None
    derived: "Derived | None" = None
    """Set if the value is derived from other rows."""


@dataclass(frozen=True, slots=True)
class ScopedRelation:
    """A relation to `target` as one scope sees it: the foreign key, and the predicate of the rows it reaches."""

    field: Field
    target: Collection
    link: Operand
    row_filter: "Predicate"
    visible: "Predicate" = AllOf()


@dataclass(frozen=True, slots=True)
class Derived:
    """A value derived from `operand` of the rows at the end of `path`, as one scope sees them.

    With `ancestors`, the path also starts at every row reached by following that relation repeatedly.
    """

    path: tuple[ScopedRelation, ...]
    operand: Operand
    ancestors: ScopedRelation | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """The number of rows behind a to-many relation."""

    relation: ScopedRelation


@dataclass(frozen=True, slots=True)
class CallerLookup:
    """A value read from the caller's own row by the statement itself, so that it is never a cached one."""

    user: str | BoundParameter | None
    users: Collection
    row_filter: "Predicate"
    path: tuple[ScopedRelation, ...]
    operand: Operand


@dataclass(frozen=True, slots=True)
class ValueList:
    """The values of `_in`: those known when the statement is built, and those it looks up."""

    known: tuple[Any, ...]
    lookups: tuple[CallerLookup, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The predicate `operand operator value`; `value` is plain, a CallerLookup, a ValueList, or a pair."""

    operand: Operand | Count
    operator: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class RelationPredicate:
    """A predicate on the rows behind a relation, quantified as in `RelationFilter`."""

    relation: ScopedRelation
    quantifier: Quantifier
    condition: "Predicate"


Predicate = AllOf | AnyOf | Comparison | RelationPredicate
TRUE, FALSE = AllOf(), AnyOf()


@dataclass(frozen=True, slots=True)
class SortKey:
    """A sort key of a scoped read."""

    path: tuple[ScopedRelation, ...]
    operand: Operand | Count
    descending: bool


@dataclass(frozen=True, slots=True)
class Value:
    """A cell with a single value."""

    operand: Operand | Count


@dataclass(frozen=True, slots=True)
class ToOneCell:
    """A cell with the row behind a to-one relation, or null."""

    relation: ScopedRelation
    read: "ScopedRead"


@dataclass(frozen=True, slots=True)
class ToManyCell:
    """A cell with the rows behind a to-many relation."""

    relation: ScopedRelation
    read: "ScopedRead"


@dataclass(frozen=True, slots=True)
class GroupCell:
    """A cell with a grouping value."""

    operand: Operand | Count


@dataclass(frozen=True, slots=True)
class AggregateCell:
    """A cell with an aggregate of a group's rows; without an operand, their number."""

    function: AggregateFunction
    operand: Operand | Count | None = None

    @property
    def is_sum(self) -> bool:
        """Whether the value is an exact sum, which may have any number of digits."""
        return self.function in ("sum", "sumDistinct")

    @property
    def is_average(self) -> bool:
        """Whether the value is a floating-point number."""
        return self.function in ("avg", "avgDistinct")


Cell = Value | ToOneCell | ToManyCell | GroupCell | AggregateCell


@dataclass(frozen=True, slots=True)
class OutputField:
    """The source of a response key's value: the index of a cell, an object of output fields, or a constant.

    `as_text` returns a number as a string.
    """

    key: str
    cell: int | None = None
    parts: tuple["OutputField", ...] | None = None
    constant: Any = None
    as_text: bool = False


@dataclass(frozen=True, slots=True)
class ScopedRead:
    """A Read restricted by the caller's policies; only PolicyResolver creates one.

    `cells` are the distinct values to fetch for a row, `output_fields` where each of them appears in the response.
    """

    collection: Collection
    cells: tuple[Cell, ...]
    output_fields: tuple[OutputField, ...]
    where: Predicate
    order: tuple[SortKey, ...] = ()
    limit: int | BoundParameter | None = None
    offset: int | BoundParameter = 0
    flat: bool = False


@dataclass(frozen=True, slots=True)
class GroupSortKey:
    """A sort key of a scoped aggregation."""

    cell: GroupCell | AggregateCell
    descending: bool


@dataclass(frozen=True, slots=True)
class ScopedAggregation:
    """An Aggregation restricted by the caller's policies; only PolicyResolver creates one.

    Without `groups` all rows are aggregated together. `cells` and `output_fields` are as in a ScopedRead.
    """

    collection: Collection
    groups: tuple[GroupCell, ...]
    aggregates: tuple[AggregateCell, ...]
    output_fields: tuple[OutputField, ...]
    where: Predicate
    order: tuple[GroupSortKey, ...] = ()
    limit: int | BoundParameter | None = None
    offset: int | BoundParameter = 0

    @property
    def cells(self) -> tuple[GroupCell | AggregateCell, ...]:
        """The grouping values, then the aggregates."""
        return self.groups + self.aggregates


@dataclass(frozen=True, slots=True)
class ScopedRows:
    """Permission rules as predicates on the rows of a collection; only the policy resolvers create one."""

    collection: Collection
    conditions: tuple["Predicate", ...]


def all_of(*predicates: Predicate) -> Predicate:
    """Return a predicate that requires all of the predicates, simplified if possible."""
    parts = tuple(part for part in predicates if part != TRUE)
    if FALSE in parts:
        return FALSE
    return parts[0] if len(parts) == 1 else AllOf(parts)


def any_of(*predicates: Predicate) -> Predicate:
    """Return a predicate that requires at least one of the predicates, simplified if possible."""
    parts = tuple(dict.fromkeys(part for part in predicates if part != FALSE))
    if TRUE in parts:
        return TRUE
    return parts[0] if len(parts) == 1 else AnyOf(parts)
