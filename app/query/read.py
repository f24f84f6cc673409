"""Read: what a caller asks of one collection, whichever door it came through."""

from dataclasses import dataclass
from typing import Any

from app.core.errors import InvalidQuery
from app.query.collection import Collection, Field, target
from app.query.filter import EVERYTHING, Filter, Function, UnknownField, depth, split_function
from app.query.operators import coerce


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a row, or a function of it, under the key the answer shall carry."""

    key: str
    field: Field
    function: Function | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A value known without asking, such as `__typename`."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Functions:
    """Several functions of one field, as an object: `last_access_func { year month }`."""

    key: str
    parts: tuple["Leaf | Constant", ...]


@dataclass(frozen=True, slots=True)
class Nested:
    """The row, or the rows, that a relation leads to."""

    key: str
    field: Field
    read: "Read"


MOST_JOINED = 50
"""To-one relations of one list; SQLite joins 64 tables at most."""

Selected = Leaf | Constant | Functions | Nested


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
    filter: Filter = EVERYTHING
    sort: tuple[Sort, ...] = ()
    search: str | None = None
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one question may ask for.

    Rows where it doesn't say (`default`) and at `most`, fields that follow one another (`depth`), `tokens` of a
    document; and whether the schema itself may be asked for (`introspection`).
    """

    default: int = 100
    most: int | None = None
    depth: int = 10
    tokens: int = 5000
    introspection: bool = True

    def window(self, limit: int | None, offset: int | None, page: int | None) -> tuple[int | None, int]:
        """`limit`, `offset` and `page` as a client gives them -> rows to answer (None: all) and rows to skip.

        -1 asks for all rows; a page counts from 1 and wins over an offset. Raises InvalidQuery.
        """
        for name, value, least in (("limit", limit, -1), ("offset", offset, 0), ("page", page, 0)):
            if value is not None and value < least:
                raise InvalidQuery(f'"{name}" must be greater than or equal to {least}')
        rows = self.default if limit is None else limit
        if self.most is not None:
            if rows > self.most:
                raise InvalidQuery(f'"limit" must be less than or equal to {self.most}')
            rows = self.most if rows == -1 else rows
        skipped = (page - 1) * max(rows, 0) if page else offset or 0
        return (None if rows == -1 else rows), skipped


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
        here = target(step)
    try:
        field_, function = split_function(here, names[-1])
    except UnknownField:
        raise UnknownField(here, names[-1], ".".join(step.name for step in path) or "root") from None
    return Sort(tuple(path), field_, function, descending)


def parse_search(text: str | None) -> str | None:
    """What to search for, None for nothing; InvalidQuery for characters that no text can hold."""
    try:
        return coerce("string", text) or None
    except ValueError as problem:
        raise InvalidQuery(str(problem)) from None


def check_size(read: Read, most: int) -> None:
    """Raises InvalidQuery where a selection, a filter or a sort walks further than `most` fields.

    So it does where one list wants more to-one relations than a statement can join.
    """
    if max(_joins(read)) > MOST_JOINED:
        raise InvalidQuery(f"At most {MOST_JOINED} to-one relations may be asked for in one list")
    if _read_depth(read) > most:
        raise InvalidQuery(f"Max relational depth exceeded. At most {most} fields may follow one another")


def _joins(read: Read) -> tuple[int, int]:
    """The to-one relations joined for a read's own list, and for the fullest list below it."""
    own = fullest = 0
    for item in read.select:
        if isinstance(item, Nested):
            inner, below = _joins(item.read)
            own += 0 if item.field.many else 1 + inner
            fullest = max(fullest, below, inner if item.field.many else 0)
    return own, fullest


def _read_depth(read: Read) -> int:
    below = (1 + _read_depth(item.read) if isinstance(item, Nested) else 1 for item in read.select)
    sorts = (len(sort.path) + 1 for sort in read.sort)
    return max(depth(read.filter), *below, *sorts, 0)
