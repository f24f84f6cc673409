"""Replaces the bound parameters of a caller by columns of rows, so that one statement decides about many callers."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Text, cast, literal, literal_column
from sqlalchemy.sql.visitors import replacement_traverse

from app.core.bindings import BoundParameter, Source
from app.query.bind_types import LikePattern, ListParam, PrefixUpperBound
from app.query.sql_functions import ListOfValues, UUIDPattern

LAST_CHARACTER = "\U0010ffff"
"""Sorts after every other character, so that with it a prefix becomes the end of a range."""

Columns = Mapping[Source, str]
"""The SQL of the column that has the value of a source, such as `candidate.id`. It names no table, so that it can be
used at any depth of a statement."""


def with_row_values(clause: ColumnElement[Any], columns: Columns) -> tuple[ColumnElement[Any], frozenset[Source]]:
    """Return a clause with columns in the place of the parameters of these sources, and the sources that it used.

    The values of the columns are UUIDs, or lists of UUIDs, as `$CURRENT_USER` and `$CURRENT_ROLES` are.
    """
    used = set[Source]()

    def replace(element: Any, **_: Any) -> Any:
        if not isinstance(element, BindParameter):
            return None
        sources = _sources(element.value) & columns.keys()
        if not sources:
            return None
        used.update(sources)
        return _row_value(element.value, element.type, columns)

    replaced: ColumnElement[Any] = replacement_traverse(clause, {}, replace)
    return replaced, frozenset(used)


def _sources(value: Any) -> set[Source]:
    if isinstance(value, list):
        return {source for item in value for source in _sources(item)}
    return set(value.sources) if isinstance(value, BoundParameter) else set()


def _row_value(value: Any, type_: Any, columns: Columns) -> Any:
    if not isinstance(value, BoundParameter):
        return ListOfValues(*(_item(item, type_.item, columns) for item in value))
    column: ColumnElement[Any] = literal_column(columns[value.sources[0]])
    if isinstance(type_, ListParam):
        return cast(column, type_)
    text = cast(column, Text)
    if isinstance(type_, PrefixUpperBound):
        return text + literal(LAST_CHARACTER)
    if isinstance(type_, LikePattern):
        return UUIDPattern(_any_text(type_.before), text, _any_text(type_.after))
    return cast(column, type_)


def _any_text(is_open: bool) -> ColumnElement[str]:
    return literal_column("'%'" if is_open else "''", Text())


def _item(item: Any, type_: Any, columns: Columns) -> Any:
    return _row_value(item, type_, columns) if _sources(item) & columns.keys() else literal(item, type_)
