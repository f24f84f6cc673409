"""The statements that compare the rows which two predicates match."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, case, cast, func, literal_column, select

from app.query.scoped import ScopedRows
from app.query.sql_expressions import condition_sql
from app.query.sql_functions import JSONRows

_ZERO: ColumnElement[int] = literal_column("0")
_ONE: ColumnElement[int] = literal_column("1")


def count_differences(scoped: ScopedRows) -> Select[Any]:
    """Return a SELECT of four numbers: rows that match the first of two conditions, the second, and only either."""
    row = scoped.collection.table.alias()
    flags = [case((condition_sql(condition, row), _ONE), else_=_ZERO) for condition in scoped.conditions]
    rows = select(flags[0].label("before"), flags[1].label("after")).select_from(row).subquery()
    before, after = rows.c.before, rows.c.after
    counts = (before, after, after * (_ONE - before), before * (_ONE - after))
    totals: list[ColumnElement[Any]] = [func.coalesce(func.sum(count), _ZERO) for count in counts]
    return select(*totals).select_from(rows)


def matching_keys(scoped: ScopedRows) -> Select[Any]:
    """Return a SELECT of one JSON text: the keys of the rows that match the only condition."""
    row = scoped.collection.table.alias()
    (condition,) = scoped.conditions
    keys = select(cast(row.c[scoped.collection.key.name], Text).label("key")).where(condition_sql(condition, row))
    found = keys.subquery()
    return select(cast(JSONRows(found.c.key), Text)).select_from(found)
