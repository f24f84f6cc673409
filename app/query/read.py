"""Read: what a caller asks of one collection, whichever door it came through."""

from dataclasses import dataclass, replace
from typing import Any

from app.core.bindings import BoundParameter
from app.core.errors import InvalidQuery
from app.query.collection import Collection, Field
from app.query.filter import MATCH_ALL, Filter, Function, UnknownField, conjunction, split_function
from app.query.operators import coerce


@dataclass(frozen=True, slots=True)
class FieldSelection:
    """One value of a row, or a function of it, under the key the answer shall carry.

    `text` where a number shall be told as a text, as GraphQL tells every ID.
    """

    key: str
    field: Field
    function: Function | None = None
    as_text: bool = False


@dataclass(frozen=True, slots=True)
class Constant:
    """A value known without asking, such as `__typename`."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class FunctionObject:
    """Several functions of one field, as an object: `last_access_func { year month }`."""

    key: str
    parts: tuple["FieldSelection | Constant", ...]


@dataclass(frozen=True, slots=True)
class RelationSelection:
    """The row, or the rows, that a relation leads to."""

    key: str
    field: Field
    read: "Read"


Selected = FieldSelection | Constant | FunctionObject | RelationSelection


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key: a path of relations to a field or a function of it."""

    path: tuple[Field, ...]
    field: Field
    function: Function | None
    descending: bool


@dataclass(frozen=True, slots=True)
class Read:
    """What a caller asks of one collection; each door builds one.

    `limit` is a number of rows from 0, or None for all; `offset` counts rows from 0. Two equal Reads of one caller
    have one answer.
    """

    collection: Collection
    select: tuple[Selected, ...]
    filter: Filter = MATCH_ALL
    sort: tuple[Sort, ...] = ()
    search: str | BoundParameter | None = None
    limit: int | BoundParameter | None = None
    offset: int | BoundParameter = 0
    flat: bool = False
    """Whether each row is told as its only value, as REST tells the keys behind a relation."""

    def restricted_to(self, rows: Filter) -> "Read":
        """The same of such rows only."""
        return replace(self, filter=conjunction((rows, self.filter)))

    def selecting(self, select: tuple[Selected, ...]) -> "Read":
        """Something else of the same rows."""
        return replace(self, select=select)

    def without_rows(self) -> "Read":
        """The same of no row at all."""
        return replace(self, limit=0)


def parse_sort(collection: Collection, spelled: str) -> Sort:
    """`-role.name` or `year(last_access)` -> a sort key; raises UnknownField where a step isn't there."""
    descending, names = spelled.startswith("-"), spelled.removeprefix("-").split(".")
    path: list[Field] = []
    here = collection
    for name in names[:-1]:
        step = here.fields.get(name)
        if step is None or step.relation is None:
            raise UnknownField(here, name, ".".join(step.name for step in path) or "root")
        path.append(step)
        here = here.target_of(step)
    try:
        field_, function = split_function(here, names[-1])
    except UnknownField:
        raise UnknownField(here, names[-1], ".".join(step.name for step in path) or "root") from None
    return Sort(tuple(path), field_, function, descending)


def parse_search(text: str | None) -> str | BoundParameter | None:
    """What to search for, None for nothing; InvalidQuery for characters that no text can hold."""
    try:
        return coerce("string", text) or None
    except ValueError as problem:
        raise InvalidQuery(str(problem)) from None
