"""The Read: a query for rows of one collection, independent of the API that it came through."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from app.core.bindings import BoundParameter, Slot, bind
from app.core.errors import InvalidQuery
from app.core.values import KEY_LENGTH
from app.query.coercion import storable_text
from app.query.collection import Collection, Field
from app.query.filter import MATCH_ALL, Filter, Function, UnknownField, conjunction, split_function


@dataclass(frozen=True, slots=True)
class FieldSelection:
    """A value of a row, or a function of it, under its response key.

    `as_text` returns a number as a string, as GraphQL does for every ID; `as_number` a decimal as a number.
    """

    key: str
    field: Field
    function: Function | None = None
    as_text: bool = False
    as_number: bool = False


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is known without a query, such as `__typename`."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class FunctionObject:
    """Several functions of one field as an object: `last_access_func { year month }`."""

    key: str
    parts: tuple["FieldSelection | Constant", ...]


@dataclass(frozen=True, slots=True)
class RelationSelection:
    """The row or rows on the other side of a relation."""

    key: str
    field: Field
    read: "Read"


Selected = FieldSelection | Constant | FunctionObject | RelationSelection


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort key: a path of relations to a field or a function of it."""

    path: tuple[Field, ...]
    field: Field
    function: Function | None
    descending: bool


@dataclass(frozen=True, slots=True)
class Read:
    """A query for rows of one collection, before any permissions are applied.

    `limit` is the maximum number of rows, or None for all of them; `offset` is the number of rows to skip. Two equal
    Reads of the same caller have the same result.
    """

    collection: Collection
    select: tuple[Selected, ...]
    filter: Filter = MATCH_ALL
    sort: tuple[Sort, ...] = ()
    search: str | BoundParameter | None = None
    limit: int | BoundParameter | None = None
    offset: int | BoundParameter = 0
    flat: bool = False
    """Whether each row is returned as its only value, as REST returns the keys of related rows."""

    def restricted_to(self, filter_: Filter) -> "Read":
        """Return this query restricted to the rows that match another filter."""
        return replace(self, filter=conjunction((filter_, self.filter)))

    def selecting(self, select: tuple[Selected, ...]) -> "Read":
        """Return a query for other values of the same rows."""
        return replace(self, select=select)

    def without_rows(self) -> "Read":
        """Return this query with a limit of 0, which yields no rows."""
        return replace(self, limit=0)


def parse_sort(collection: Collection, text: str) -> Sort:
    """Parse a sort key such as `-role.name` or `year(last_access)`.

    Raises:
        UnknownField: A field of the path does not exist.
    """
    descending, names = text.startswith("-"), text.removeprefix("-").split(".")
    path: list[Field] = []
    for name in names[:-1]:
        step = collection.fields.get(name)
        if step is None or step.relation is None:
            raise UnknownField(collection, name, _path_name(path))
        path.append(step)
        collection = collection.target_of(step)
    try:
        field, function = split_function(collection, names[-1])
    except UnknownField:
        raise UnknownField(collection, names[-1], _path_name(path)) from None
    return Sort(tuple(path), field, function, descending)


def _path_name(path: Iterable[Field]) -> str:
    return ".".join(field.name for field in path) or "root"


def parse_search(text: str | None) -> str | BoundParameter | None:
    """Return the text to search for, without the spaces around it.

    None if there is no text, so that every row matches; "" if there are only spaces: no row matches, as in Directus.

    Raises:
        InvalidQuery: The text contains characters that the database cannot store.
    """
    if text is None or text == "":
        return None
    try:
        trimmed = storable_text(text).strip()
    except ValueError as error:
        raise InvalidQuery(str(error)) from None
    if isinstance(text, Slot):
        try:
            return bind(text, "search", _plannable_search)
        except ValueError:
            pass  # the plan serves only this text
    return trimmed


def _plannable_search(text: str) -> str:
    """Return the trimmed text; raise ValueError if the plan of other texts does not search for it correctly."""
    trimmed = storable_text(text).strip()
    if not trimmed or len(trimmed) == KEY_LENGTH != len(text):
        raise ValueError("Spaces around the text change how it is searched for")
    return trimmed
