"""SQL expressions for the predicates, operands and sort keys of scoped queries."""

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
    literal_column,
    null,
    or_,
    select,
    true,
)

from app.core.bindings import BoundParameter
from app.query import sql_functions as sql
from app.query.bind_types import ListParam
from app.query.collection import Field
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
"""The value that clients see instead of a concealed one."""

Expression = ColumnElement[Any]


def condition_sql(predicate: Predicate, row: FromClause) -> ColumnElement[bool]:
    """Return a predicate on a row as SQL."""
    match predicate:
        case AllOf(parts):
            return and_(true(), *(condition_sql(part, row) for part in parts))
        case AnyOf(parts):
            return or_(false(), *(condition_sql(part, row) for part in parts))
        case Comparison():
            return _comparison_sql(predicate, row)
        case RelationPredicate():
            return _relation_sql(predicate, row)


def is_json(operand: Operand) -> bool:
    """Return whether a value is JSON, which SQLite no longer recognizes as such outside a subquery."""
    return operand.field.kind == "json" and operand.function is None and not operand.masked


def null_unless(visible: Predicate, row: FromClause, value: Expression) -> Expression:
    """Return the value on rows where `visible` is true, null on the others."""
    return value if visible == TRUE else case((condition_sql(visible, row), value))


def value_of(operand: Operand | Count, row: FromClause) -> Expression:
    """Return the value of an operand on a row, null or masked where the operand says so."""
    if isinstance(operand, Count):
        return _count(operand.relation, row)
    value = _derived(operand.derived, row) if operand.derived else _column(operand.field, row)
    if operand.masked:
        value = case((value.is_not(None), literal(MASK, Text())))
    value = null_unless(operand.visible, row, value)
    return value if operand.function is None else _function(operand, value)


def as_output(operand: Operand | Count, value: Expression) -> Expression:
    """Return a value in the form that clients receive: a decimal as a text with all its digits."""
    if isinstance(operand, Count) or operand.function or operand.masked or operand.field.kind != "decimal":
        return value
    return sql.FixedPoint(value, literal_column(str(operand.field.scale)))


def stored_value(field: Field, row: FromClause) -> Expression:
    """Return the value of a field that has a column, whether in the row itself or in a side table."""
    if field.side_key is None:
        return row.c[field.stored.name]
    side = field.side_key.table.alias()
    value = select(side.c[field.stored.name]).where(side.c[field.side_key.name] == row.c.id)
    return value.correlate(row).scalar_subquery()


def _column(field: Field, row: FromClause) -> Expression:
    column = stored_value(field, row)
    return AsJSON(column) if field.kind == "json" else column


def _function(operand: Operand, value: Expression) -> Expression:
    if operand.masked:
        return null()
    if operand.function == "count":
        return JSONCount(value)
    return sql.date_part(operand.function, value)  # type: ignore[arg-type]  # every function but count is a date part


def _derived(derived: Derived, row: FromClause) -> Expression:
    """Return the combined value of the rows at the end of a path, combined as the kind of the value requires."""
    source, conditions = row, list[ColumnElement[bool]]()
    if derived.ancestors:
        source = derived.ancestors.target.table.alias()
        conditions.append(source.c.id == _ancestor_keys(derived.ancestors, row).c.id)
    for relation in derived.path:
        related = relation.target.table.alias()
        conditions += [
            condition_sql(relation.visible, source),
            join_condition(relation, source, related),
            condition_sql(relation.row_filter, related),
        ]
        source = related
    value = value_of(derived.operand, source)
    match derived.operand.field.kind:
        case "boolean":
            return exists(select(1).where(*conditions, value.is_(true())).correlate(row))
        case "csv":
            combined: Expression = sql.DistinctWords(value)
        case _:
            only_value = cast(func.min(cast(value, Text)), value.type)
            combined = case((func.count(distinct(value)) == 1, only_value))
    return select(combined).where(*conditions).correlate(row).scalar_subquery()


def _ancestor_keys(relation: ScopedRelation, row: FromClause) -> CTE:
    """Return the keys of a row and of all rows reached by following a relation repeatedly. Cycles end the recursion."""
    keys = select(row.c.id.label("id")).correlate(row).cte(recursive=True, nesting=True)
    child, parent = (relation.target.table.alias() for _ in range(2))
    parents = select(parent.c.id).where(
        child.c.id == keys.c.id, join_condition(relation, child, parent), condition_sql(relation.row_filter, parent)
    )
    return keys.union(parents)


def _count(relation: ScopedRelation, row: FromClause) -> Expression:
    related = relation.target.table.alias()
    where = and_(join_condition(relation, row, related), condition_sql(relation.row_filter, related))
    count = select(func.count()).select_from(related).where(where).correlate(row).scalar_subquery()
    return null_unless(relation.visible, row, count)


def join_condition(relation: ScopedRelation, row: FromClause, related: FromClause) -> ColumnElement[bool]:
    """Return the condition that links a row to its related rows, on the foreign key as the scope sees it."""
    if relation.field.many:
        return value_of(relation.link, related) == row.c.id
    return related.c.id == value_of(relation.link, row)


def _relation_sql(predicate: RelationPredicate, row: FromClause) -> ColumnElement[bool]:
    relation, condition = predicate.relation, predicate.condition
    related = relation.target.table.alias()
    joined = and_(join_condition(relation, row, related), condition_sql(relation.row_filter, related))
    if predicate.quantifier == "any" and _matches_null_row(condition):
        one = select(literal(1).label("one")).subquery()
        outer = one.outerjoin(related, joined)
        rows = select(1).select_from(outer).where(condition_sql(_on_null_row(condition, relation), related))
    else:
        rows = select(1).select_from(related).where(joined, condition_sql(condition, related))
    some = exists(rows.correlate(row))
    result = ~some if predicate.quantifier == "none" else some
    return result if relation.visible == TRUE else and_(condition_sql(relation.visible, row), result)


def _matches_null_row(predicate: Predicate) -> bool:
    """Return whether a predicate can be true of a row of nulls, which a LEFT JOIN yields without related rows."""
    match predicate:
        case AllOf(parts):
            return all(_matches_null_row(part) for part in parts)
        case AnyOf(parts):
            return any(_matches_null_row(part) for part in parts)
        case Comparison(operand, operator):
            return OPERATORS[operator].matches_null or isinstance(operand, Count)
        case RelationPredicate(relation, _, inner):
            return not relation.field.many and _matches_null_row(inner)


def _on_null_row(predicate: Predicate, relation: ScopedRelation) -> Predicate:
    """Return a predicate adapted to a row that may be a row of nulls, which `relation` led to.

    On such a row no predicate on a to-many relation is true. Otherwise `_none` would be, as there are no related rows.
    """
    match predicate:
        case AllOf(parts) | AnyOf(parts):
            return replace(predicate, parts=tuple(_on_null_row(part, relation) for part in parts))
        case Comparison(Count(counted)):
            visible = _on_null_row(counted.visible, relation)
            return replace(predicate, operand=Count(replace(counted, visible=visible)))
        case RelationPredicate(inner) if inner.field.many:
            return all_of(Comparison(Operand(relation.target.key), "_nnull"), predicate)
    return predicate


def _comparison_sql(comparison: Comparison, row: FromClause) -> ColumnElement[bool]:
    operator, operand, value = OPERATORS[comparison.operator], comparison.operand, comparison.value
    column = value_of(operand, row)
    match value:
        case BoundParameter(is_list=True):
            return _in_list(comparison, column, (value,), ())
        case ValueList(known, lookups):
            return _in_list(comparison, column, known, lookups)
        case tuple():
            return operator.sql(column, tuple(_bind(operand, item) for item in value))
        case _:
            return operator.sql(column, _bind(operand, value))


def _in_list(
    comparison: Comparison, column: Expression, known: Sequence[Any], lookups: Sequence[CallerLookup]
) -> ColumnElement[bool]:
    item_type = column.type if not isinstance(column.type, Text) else Text()
    parts = [_in_lookup(column, lookup) for lookup in lookups]
    lists = [value for value in known if isinstance(value, BoundParameter) and value.is_list]
    parts += [sql.InList(column, literal(value, ListParam(item_type))) for value in lists]
    items = [value for value in known if not isinstance(value, BoundParameter) or not value.is_list]
    if items or not parts:
        parts.append(sql.InList(column, literal(items, ListParam(item_type))))
    matches = or_(*parts)
    if comparison.operator == "_in":
        return matches
    return and_(column.is_not(None), *(exists(lookup_select(lookup)) for lookup in lookups), ~matches)


def _in_lookup(column: Expression, lookup: CallerLookup) -> ColumnElement[bool]:
    if is_json(lookup.operand):
        return JSONArrayContains(cast(column, Text), lookup_select(lookup).limit(1).scalar_subquery())
    return column.in_(lookup_select(lookup))


def _bind(operand: Operand | Count, value: Any) -> Any:
    if isinstance(value, CallerLookup):
        return lookup_select(value).limit(1).scalar_subquery()
    if isinstance(operand, Operand) and operand.field.kind == "float" and not operand.function:
        return literal(value, operand.field.stored.type)  # as a double it would differ from the same number
    if value is None or isinstance(value, float):
        return literal(value, Float() if value is not None else None)
    if isinstance(operand, Count) or operand.function:
        return literal(value, Integer()) if isinstance(value, BoundParameter) else value
    return literal(value, _bind_type(operand))


def _bind_type(operand: Operand) -> Any:
    return Text() if operand.field.kind in ("string", "csv", "hash") else operand.field.stored.type


def lookup_select(lookup: CallerLookup) -> Select[Any]:
    """Return a SELECT of the values at the end of a path that starts at the caller's own row."""
    user = lookup.users.table.alias()
    conditions = [
        user.c.id == literal(lookup.user, lookup.users.key.stored.type),
        condition_sql(lookup.row_filter, user),
    ]
    source = user
    for relation in lookup.path:
        related = relation.target.table.alias()
        conditions += [join_condition(relation, source, related), condition_sql(relation.row_filter, related)]
        source = related
    value = value_of(lookup.operand, source)
    return select(value).where(*conditions, value.is_not(None))


def sort_key(key: SortKey, row: FromClause) -> ColumnElement[Any]:
    """Return the ORDER BY expression of a sort key."""
    value = _value_at_path(key.path, key.operand, row, key.descending) if key.path else value_of(key.operand, row)
    return with_direction(collate_binary(key.operand, value), descending=key.descending)


def with_direction(value: Expression, *, descending: bool) -> ColumnElement[Any]:
    """Return a sort expression with its direction: nulls come last, or first if descending."""
    return value.desc().nulls_first() if descending else value.asc().nulls_last()


def collate_binary(operand: Operand | Count, value: Expression) -> Expression:
    """Return a value in a sortable form: text by code point, JSON by its text."""
    if isinstance(operand, Count) or operand.function:
        return value
    kind = operand.field.kind
    if kind == "json" and not operand.masked:
        return sql.by_code_point(cast(value, Text))
    return sql.by_code_point(value) if kind in ("string", "csv", "hash") or operand.masked else value


def _value_at_path(
    path: Sequence[ScopedRelation], operand: Operand | Count, row: FromClause, descending: bool
) -> Expression:
    """Return the value at the end of a path; of several rows, the value that sorts first in this direction."""
    relation, rest = path[0], path[1:]
    related = relation.target.table.alias()
    value = _value_at_path(rest, operand, related, descending) if rest else value_of(operand, related)
    joined = and_(join_condition(relation, row, related), condition_sql(relation.row_filter, related))
    if not relation.field.many:
        return select(value).where(joined).correlate(row).scalar_subquery()
    # Sorted by its name: repeating the value, which may contain another one, would double the statement at each level.
    named = value.label("value")
    ordered = named.desc().nulls_last() if descending else named.asc().nulls_last()
    return select(named).where(joined).order_by(ordered).limit(1).correlate(row).scalar_subquery()
