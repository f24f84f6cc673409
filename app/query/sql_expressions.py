"""Conditions and values of a row, as SQL expressions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Float,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    case,
    cast,
    distinct,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
)

from app.core.bindings import BoundParameter
from app.query import sql_functions as sql
from app.query.bind_types import ListParam
from app.query.collection import USERS, Field, target
from app.query.operators import OPERATORS
from app.query.scoped import (
    TRUE,
    AllOf,
    AnyOf,
    CallerLookup,
    Comparison,
    Count,
    Derived,
    Operand,
    Predicate,
    RelationPredicate,
    ScopedRelation,
    SortKey,
    ValueList,
    all_of,
)
from app.query.sql_functions import AsJSON, JSONArrayContains, JSONCount

MASK = "**********"
"""What a concealed value reads as."""

Expression = ColumnElement[Any]


def condition_sql(asked: Predicate, row: FromClause) -> ColumnElement[bool]:
    """A condition on a row, as SQL."""
    match asked:
        case AllOf(parts):
            return and_(true(), *(condition_sql(part, row) for part in parts))
        case AnyOf(parts):
            return or_(false(), *(condition_sql(part, row) for part in parts))
        case Comparison():
            return _test(asked, row)
        case RelationPredicate():
            return _reach(asked, row)


def is_json(operand: Operand) -> bool:
    """Whether a value is JSON, which SQLite has to be told again at every subquery's edge."""
    return operand.field.kind == "json" and operand.function is None and not operand.masked


def null_unless(visible: Predicate, row: FromClause, value: Expression) -> Expression:
    """A value on the rows where it may be seen, null on the others."""
    return value if visible == TRUE else case((condition_sql(visible, row), value))


def value_of(operand: Operand | Count, row: FromClause) -> Expression:
    """A field of a row, or a number of rows behind it, as an operand may see it."""
    if isinstance(operand, Count):
        return _count(operand.relation, row)
    value = _derived(operand.derived, row) if operand.derived else _stored(operand.field, row)
    if operand.masked:
        value = case((value.is_not(None), literal(MASK, Text())))
    value = null_unless(operand.visible, row, value)
    return value if operand.function is None else _function(operand, value)


def _stored(field: Field, row: FromClause) -> Expression:
    column = row.c[field.stored.name]
    return AsJSON(column) if field.kind == "json" else column


def _function(operand: Operand, value: Expression) -> Expression:
    if operand.masked:
        return null()
    if operand.function == "count":
        return JSONCount(value)
    return sql.date_part(operand.function, value)  # type: ignore[arg-type]  # a function that isn't count is a part


def _derived(how: Derived, row: FromClause) -> Expression:
    """What the rows at the end of a path come to, by the kind of what they hold."""
    here, reached = row, list[ColumnElement[bool]]()
    if how.ancestors:
        here = target(how.ancestors.field).table.alias()
        reached.append(here.c.id == _line(how.ancestors, row).c.id)
    for step in how.path:
        there = target(step.field).table.alias()
        reached += [
            condition_sql(step.visible, here),
            join_condition(step, here, there),
            condition_sql(step.row_filter, there),
        ]
        here = there
    value = value_of(how.operand, here)
    match how.operand.field.kind:
        case "boolean":
            return exists(select(1).where(*reached, value.is_(true())).correlate(row))
        case "csv":
            told: Expression = sql.DistinctWords(value)
        case _:
            only = cast(func.min(cast(value, Text)), value.type)
            told = case((func.count(distinct(value)) == 1, only))
    return select(told).where(*reached).correlate(row).scalar_subquery()


def _line(step: ScopedRelation, row: FromClause) -> CTE:
    """The keys of a row and of all rows that a step leads to, one after another; a loop ends where it closes."""
    line = select(row.c.id.label("id")).correlate(row).cte(recursive=True, nesting=True)
    here, there = (target(step.field).table.alias() for _ in range(2))
    up = select(there.c.id).where(
        here.c.id == line.c.id, join_condition(step, here, there), condition_sql(step.row_filter, there)
    )
    return line.union(up)


def _count(step: ScopedRelation, row: FromClause) -> Expression:
    there = target(step.field).table.alias()
    where = and_(join_condition(step, row, there), condition_sql(step.row_filter, there))
    return null_unless(
        step.visible, row, select(func.count()).select_from(there).where(where).correlate(row).scalar_subquery()
    )


def join_condition(step: ScopedRelation, here: FromClause, there: FromClause) -> ColumnElement[bool]:
    """What links a row to those a step reaches, seen with the caller's eyes."""
    if step.field.many:
        return value_of(step.link, there) == here.c.id
    return there.c.id == value_of(step.link, here)


def _reach(asked: RelationPredicate, row: FromClause) -> ColumnElement[bool]:
    there = target(asked.relation.field).table.alias()
    reached = and_(join_condition(asked.relation, row, there), condition_sql(asked.relation.row_filter, there))
    if asked.quantifier == "any" and _holds_of_nothing(asked.condition):
        one = select(literal(1).label("one")).subquery()
        outer = one.outerjoin(there, reached)
        rows = select(1).select_from(outer).where(condition_sql(_if_there(asked.condition, asked.relation), there))
    else:
        rows = select(1).select_from(there).where(reached, condition_sql(asked.condition, there))
    some = exists(rows.correlate(row))
    found = ~some if asked.quantifier == "none" else some
    return found if asked.relation.visible == TRUE else and_(condition_sql(asked.relation.visible, row), found)


def _holds_of_nothing(asked: Predicate) -> bool:
    """Whether the condition may hold of a row of nulls, as a LEFT JOIN gives one where nothing is reached."""
    match asked:
        case AllOf(parts):
            return all(_holds_of_nothing(part) for part in parts)
        case AnyOf(parts):
            return any(_holds_of_nothing(part) for part in parts)
        case Comparison(operand, operator):
            return OPERATORS[operator].matches_null or isinstance(operand, Count)
        case RelationPredicate(step, _, inner):
            return not step.field.many and _holds_of_nothing(inner)


def _if_there(asked: Predicate, step: ScopedRelation) -> Predicate:
    """The same condition where a step may have led to a row of nulls: no rows behind that are as somebody wants them.

    By itself it would be the contrary for `_none`: there is none.
    """
    match asked:
        case AllOf(parts) | AnyOf(parts):
            return replace(asked, parts=tuple(_if_there(part, step) for part in parts))
        case Comparison(Count(behind)):
            return replace(asked, operand=Count(replace(behind, visible=_if_there(behind.visible, step))))
        case RelationPredicate(behind) if behind.field.many:
            return all_of(Comparison(Operand(target(step.field).key), "_nnull"), asked)
    return asked


def _test(asked: Comparison, row: FromClause) -> ColumnElement[bool]:
    operator, value = OPERATORS[asked.operator], asked.value
    column = value_of(asked.operand, row)
    match value:
        case BoundParameter(is_list=True):
            return _among(asked, column, (value,), ())
        case ValueList(known, lookups):
            return _among(asked, column, known, lookups)
        case tuple():
            return operator.sql(column, tuple(_bound(asked.operand, item) for item in value))
        case _:
            return operator.sql(column, _bound(asked.operand, value))


def _among(
    asked: Comparison, column: Expression, known: Sequence[Any], lookups: Sequence[CallerLookup]
) -> ColumnElement[bool]:
    item = column.type if not isinstance(column.type, Text) else Text()
    parts = [_looked_up_among(column, lookup) for lookup in lookups]
    whole = [value for value in known if isinstance(value, BoundParameter) and value.is_list]
    parts += [sql.InList(column, literal(value, ListParam(item))) for value in whole]
    single = [value for value in known if not isinstance(value, BoundParameter) or not value.is_list]
    if single or not parts:
        parts.append(sql.InList(column, literal(single, ListParam(item))))
    found = or_(*parts)
    if asked.operator == "_in":
        return found
    return and_(column.is_not(None), *(exists(lookup_select(lookup)) for lookup in lookups), ~found)


def _looked_up_among(column: Expression, lookup: CallerLookup) -> ColumnElement[bool]:
    if is_json(lookup.operand):
        return JSONArrayContains(cast(column, Text), lookup_select(lookup).limit(1).scalar_subquery())
    return column.in_(lookup_select(lookup))


def _bound(operand: Operand | Count, value: Any) -> Any:
    if isinstance(value, CallerLookup):
        return lookup_select(value).limit(1).scalar_subquery()
    if value is None or isinstance(value, float):
        return literal(value, Float() if value is not None else None)
    if isinstance(operand, Count) or operand.function:
        return literal(value, Integer()) if isinstance(value, BoundParameter) else value
    return literal(value, _bind_type(operand))


def _bind_type(operand: Operand) -> Any:
    return Text() if operand.field.kind in ("string", "csv", "hash") else operand.field.stored.type


def lookup_select(lookup: CallerLookup) -> Select[Any]:
    """The values at the end of a path that begins at the caller's own row."""
    me = USERS.table.alias()
    here, joined = me, [me.c.id == literal(lookup.user, USERS.key.stored.type), condition_sql(lookup.row_filter, me)]
    for step in lookup.path:
        there = target(step.field).table.alias()
        joined += [join_condition(step, here, there), condition_sql(step.row_filter, there)]
        here = there
    value = value_of(lookup.operand, here)
    return select(value).where(*joined, value.is_not(None))


def sort_key(key: SortKey, row: FromClause) -> ColumnElement[Any]:
    """What the rows of a list are sorted by."""
    value = _followed(key.path, key.operand, row, key.descending) if key.path else value_of(key.operand, row)
    return with_direction(collate_binary(key.operand, value), descending=key.descending)


def with_direction(value: Expression, *, descending: bool) -> ColumnElement[Any]:
    """A sort key's direction: nulls stand last, and first when descending."""
    return value.desc().nulls_first() if descending else value.asc().nulls_last()


def collate_binary(operand: Operand | Count, value: Expression) -> Expression:
    """A value as something to sort by: text by code point, JSON by its text."""
    if isinstance(operand, Count) or operand.function:
        return value
    kind = operand.field.kind
    if kind == "json" and not operand.masked:
        return sql.by_code_point(cast(value, Text))
    return sql.by_code_point(value) if kind in ("string", "csv", "hash") or operand.masked else value


def _followed(
    path: Sequence[ScopedRelation], operand: Operand | Count, row: FromClause, descending: bool
) -> Expression:
    """The value at the end of a path; of several rows the one that comes first in this order."""
    there = target(path[0].field).table.alias()
    rest = path[1:]
    value = _followed(rest, operand, there, descending) if rest else value_of(operand, there)
    ordered = value.desc().nulls_last() if descending else value.asc().nulls_last()
    reached = and_(join_condition(path[0], row, there), condition_sql(path[0].row_filter, there))
    return select(value).where(reached).order_by(ordered).limit(1).correlate(row).scalar_subquery()
