"""ScopedRead: a question after the policies rewrote it, with every right of the caller's inside it."""

from dataclasses import dataclass
from typing import Any

from app.core.bindings import BoundParameter
from app.query.aggregate import NUMERIC_FUNCTIONS, AggregateFunction, is_number
from app.query.collection import Collection, Field
from app.query.filter import Function, Quantifier


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; with no parts, everything does."""

    parts: tuple["Predicate", ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; with no parts, nothing does."""

    parts: tuple["Predicate", ...] = ()


@dataclass(frozen=True, slots=True)
class Operand:
    """A field of a row as somebody may see it.

    Where `visible` doesn't hold of the row it is null; `masked`, it is only told whether it is there.
    """

    field: Field
    visible: "Predicate" = AllOf()
    masked: bool = False
    function: Function | None = None
    derived: "Derived | None" = None
    """Where its value is told from other rows."""


@dataclass(frozen=True, slots=True)
class ScopedRelation:
    """A relation as somebody may walk it: the column that links, and the rows that may be reached."""

    field: Field
    link: Operand
    row_filter: "Predicate"
    visible: "Predicate" = AllOf()


@dataclass(frozen=True, slots=True)
class Derived:
    """A value told from what `operand` is of the rows at the end of a path, as somebody may walk it.

    With `above` the path begins also at each row that this step leads to, one after another.
    """

    path: tuple[ScopedRelation, ...]
    operand: Operand
    ancestors: ScopedRelation | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """The number of rows that a to-many relation reaches."""

    relation: ScopedRelation


@dataclass(frozen=True, slots=True)
class CallerLookup:
    """A value read from the caller's own row while the statement runs, so that it is never a remembered one."""

    user: str | BoundParameter | None
    row_filter: "Predicate"
    path: tuple[ScopedRelation, ...]
    operand: Operand


@dataclass(frozen=True, slots=True)
class ValueList:
    """The values of `_in`: those known already, and those to be looked up."""

    known: tuple[Any, ...]
    lookups: tuple[CallerLookup, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """`operand operator value`; `value` is plain, a Lookup, Items, or a pair."""

    operand: Operand | Count
    operator: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class RelationPredicate:
    """A condition on the rows behind a relation, quantified as in `Related`."""

    relation: ScopedRelation
    quantifier: Quantifier
    condition: "Predicate"


Predicate = AllOf | AnyOf | Comparison | RelationPredicate
TRUE, FALSE = AllOf(), AnyOf()


@dataclass(frozen=True, slots=True)
class SortKey:
    """One scoped sort key."""

    path: tuple[ScopedRelation, ...]
    operand: Operand | Count
    descending: bool


@dataclass(frozen=True, slots=True)
class Value:
    """A cell that holds one value."""

    operand: Operand | Count


@dataclass(frozen=True, slots=True)
class ToOneCell:
    """A cell that holds the row a to-one relation leads to, or null."""

    relation: ScopedRelation
    read: "ScopedRead"


@dataclass(frozen=True, slots=True)
class ToManyCell:
    """A cell that holds the rows a to-many relation leads to."""

    relation: ScopedRelation
    read: "ScopedRead"


@dataclass(frozen=True, slots=True)
class GroupCell:
    """A cell that holds a value which the rows of a group share."""

    operand: Operand | Count


@dataclass(frozen=True, slots=True)
class AggregateCell:
    """A cell that holds a number told of a group's rows; without an operand, how many there are."""

    function: AggregateFunction
    operand: Operand | Count | None = None

    @property
    def is_calculated(self) -> bool:
        """Whether it is a number that is calculated, and no count, no date and no mask."""
        numeric = isinstance(self.operand, Count) or (self.operand is not None and is_number(self.operand.field))
        return numeric and self.function in NUMERIC_FUNCTIONS


Cell = Value | ToOneCell | ToManyCell | GroupCell | AggregateCell


@dataclass(frozen=True, slots=True)
class OutputField:
    """Where an answer's key finds its value: a cell's position, an object of places, or a constant.

    `text` where the cell's number shall be told as a text.
    """

    key: str
    cell: int | None = None
    parts: tuple["OutputField", ...] | None = None
    constant: Any = None
    as_text: bool = False


@dataclass(frozen=True, slots=True)
class ScopedRead:
    """What the policies let through; only PolicyResolver makes one.

    `cells` are the distinct values to fetch for a row, `places` where each of them stands in the answer.
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
    """One scoped sort key of groups."""

    cell: GroupCell | AggregateCell
    descending: bool


@dataclass(frozen=True, slots=True)
class ScopedAggregation:
    """What the policies let through of an Aggregation; only PolicyResolver makes one.

    With no `groups` there is one answer for all rows together. `cells` and `places` as in a ScopedRead.
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
        """The groups' values, then the numbers told of them."""
        return self.groups + self.aggregates


@dataclass(frozen=True, slots=True)
class ScopedRows:
    """Which rows of a collection each of some rules reaches; only the policies' resolvers make one."""

    collection: Collection
    conditions: tuple["Predicate", ...]


def all_of(*conditions: Predicate) -> Predicate:
    """All of the conditions, without an empty shell around one of them."""
    parts = tuple(part for part in conditions if part != TRUE)
    if FALSE in parts:
        return FALSE
    return parts[0] if len(parts) == 1 else AllOf(parts)


def any_of(*conditions: Predicate) -> Predicate:
    """At least one of the conditions, without an empty shell around one of them."""
    parts = tuple(dict.fromkeys(part for part in conditions if part != FALSE))
    if TRUE in parts:
        return TRUE
    return parts[0] if len(parts) == 1 else AnyOf(parts)
