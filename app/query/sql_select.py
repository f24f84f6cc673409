"""From a ScopedRead to one SQL statement, whatever is nested in it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    FromClause,
    Function,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    distinct,
    func,
    literal,
    null,
    select,
)

from app.core.bindings import BoundParameter
from app.query import sql_functions as sql
from app.query.aggregate import COUNT_FUNCTIONS
from app.query.collection import target
from app.query.results import is_database_json
from app.query.scoped import (
    AggregateCell,
    Cell,
    Count,
    GroupCell,
    GroupSortKey,
    Operand,
    OutputField,
    ScopedAggregation,
    ScopedRead,
    ScopedRelation,
    ToManyCell,
    ToOneCell,
    Value,
)
from app.query.sql_expressions import (
    collate_binary,
    condition_sql,
    is_json,
    join_condition,
    null_unless,
    sort_key,
    value_of,
    with_direction,
)
from app.query.sql_functions import AsJSON, FullPrecision, JSONBoolean, JSONRows, NestedJSON

Expression = ColumnElement[Any]
RowEncoder = Callable[[ScopedRead | ScopedAggregation, Sequence[Expression]], Expression]
"""How the cells of a row become its JSON."""


def build_select(read: ScopedRead | ScopedAggregation) -> ColumnElement[str]:
    """The rows of a read as one JSON text, `[]` where there are none.

    They are the objects of the answer where the database can tell them (`is_finished`), else positional arrays.
    """
    row, tell = read.collection.table.alias(), _object if is_database_json(read) else _array
    return cast(_rows(read, row, tell) if isinstance(read, ScopedRead) else _groups(read, row, tell), Text)


def _array(read: ScopedRead | ScopedAggregation, cells: Sequence[Expression]) -> Expression:
    return cells[0] if _is_flat(read) else sql.json_array(cells)


def _object(read: ScopedRead | ScopedAggregation, cells: Sequence[Expression]) -> Expression:
    if _is_flat(read):
        return cells[0]
    return _members(read.output_fields, [_as_json(cell, told) for cell, told in zip(read.cells, cells, strict=True)])


def _is_flat(read: ScopedRead | ScopedAggregation) -> bool:
    return isinstance(read, ScopedRead) and read.flat


def _members(places: Sequence[OutputField], cells: Sequence[Expression]) -> Expression:
    return sql.json_object([(place.key, _member(place, cells)) for place in places])


def _member(place: OutputField, cells: Sequence[Expression]) -> Expression:
    if place.parts is not None:
        return _members(place.parts, cells)
    if place.cell is None:
        return null() if place.constant is None else literal(place.constant, Text())
    return cast(cells[place.cell], Text) if place.as_text else cells[place.cell]


def _as_json(cell: Cell, column: Expression) -> Expression:
    match cell:
        case Value(Operand(field, function=None)) | GroupCell(Operand(field, function=None)) if field.kind == "boolean":
            return JSONBoolean(column)
        case _:
            return column


def _rows(
    read: ScopedRead,
    row: FromClause,
    tell: RowEncoder,
    outer: FromClause | None = None,
    step: ScopedRelation | None = None,
) -> Expression:
    """The aggregate behind the root and behind every to-many relation, which `step` links to its `outer` row."""
    page = _Page(row, tell)
    told = page.place(read.cells, row)
    order = [sort_key(key, row) for key in read.order]
    where = [join_condition(step, outer, row)] if step and outer is not None else []
    inner = select(*page.columns).select_from(page.source).where(*where, condition_sql(read.where, row))
    # SQLite keeps the order of a subquery only while a limit stops it from being flattened.
    inner = _window(inner.order_by(*order), read)
    rows = (inner if outer is None else inner.correlate(outer)).subquery()
    return select(JSONRows(tell(read, [cell(rows) for cell in told]))).select_from(rows).scalar_subquery()


def _window(rows: Select[Any], read: ScopedRead | ScopedAggregation) -> Select[Any]:
    limit = sql.NoLimit() if read.limit is None else literal(read.limit, BigInteger())
    skipped = read.offset if isinstance(read.offset, BoundParameter) else read.offset or None
    return rows.limit(limit).offset(None if skipped is None else literal(skipped, BigInteger()))


class _Page:
    """The columns of one list, and the to-one relations joined for them."""

    def __init__(self, row: FromClause, tell: RowEncoder) -> None:
        self.source: FromClause = row
        self._tell = tell
        self.columns: list[Expression] = []

    def place(self, cells: Sequence[Cell], row: FromClause) -> list[Callable[[Subquery], Expression]]:
        """Adds what the cells of a row need; gives how each is told once the columns are a subquery's."""
        return [self._cell(cell, row) for cell in cells]

    def _cell(self, cell: Cell, row: FromClause) -> Callable[[Subquery], Expression]:
        match cell:
            case Value(operand):
                column = self._add(value_of(operand, row))
                embedded = isinstance(operand, Operand) and is_json(operand)
                return lambda rows: NestedJSON(rows.c[column]) if embedded else rows.c[column]
            case ToManyCell(step, read):
                there = target(step.field).table.alias()
                column = self._add(null_unless(step.visible, row, _rows(read, there, self._tell, row, step)))
                return lambda rows: NestedJSON(rows.c[column])
            case ToOneCell(step, read):
                return self._one(step, read, row)
            case GroupCell() | AggregateCell():
                raise TypeError("rows that aren't grouped have no such cells")

    def _one(self, step: ScopedRelation, read: ScopedRead, row: FromClause) -> Callable[[Subquery], Expression]:
        there = target(step.field).table.alias()
        self.source = self.source.outerjoin(
            there, and_(join_condition(step, row, there), condition_sql(read.where, there))
        )
        found, told = self._add(there.c.id), self.place(read.cells, there)
        return lambda rows: case((rows.c[found].is_not(None), self._tell(read, [cell(rows) for cell in told])))

    def _add(self, column: Expression) -> str:
        name = f"c{len(self.columns)}"
        self.columns.append(column.label(name))
        return name


def _groups(read: ScopedAggregation, row: FromClause, tell: RowEncoder) -> Expression:
    """Values as the caller sees them, grouped and measured, then sorted: a level for each of the three."""
    cells = read.cells
    operands = dict.fromkeys(cell.operand for cell in cells if cell.operand is not None)
    named = {operand: _comparable(operand, row).label(f"v{at}") for at, operand in enumerate(operands)}
    columns = list(named.values()) or [literal(1).label("one")]
    seen = select(*columns).select_from(row).where(condition_sql(read.where, row)).subquery()
    values = {operand: seen.c[label.name] for operand, label in named.items()}
    keys = [values[group.operand] for group in read.groups]
    measured = [*keys, *(_measured(figure, values) for figure in read.aggregates)]
    labelled = [column.label(f"c{at}") for at, column in enumerate(measured)] or [func.count().label("rows")]
    groups = select(*labelled).select_from(seen).group_by(*keys).subquery()
    grouped: dict[Cell, Expression] = dict(zip(cells, groups.c, strict=False))
    order = [_group_order(key, grouped) for key in read.order]
    rows = _window(select(groups).order_by(*order), read).subquery()
    told = [_told(cell, column) for cell, column in zip(cells, rows.c, strict=False)]
    return select(JSONRows(tell(read, told))).select_from(rows).scalar_subquery()


def _comparable(operand: Operand | Count, row: FromClause) -> Expression:
    """A value that can be grouped and told apart: PostgreSQL doesn't compare JSON."""
    value = value_of(operand, row)
    return cast(value, Text) if isinstance(operand, Operand) and is_json(operand) else value


def _measured(figure: AggregateCell, values: Mapping[Operand | Count, Expression]) -> Expression:
    if figure.operand is None:
        return func.count()
    value = values[figure.operand]
    if figure.function in COUNT_FUNCTIONS:
        if isinstance(figure.operand, Count):
            return func.coalesce(func.sum(value), 0)  # rows behind a row belong to it alone: all of them differ
        return func.count(value if figure.function == "count" else distinct(value))
    if not figure.is_calculated:
        return Function(figure.function, value, type_=value.type)
    number = cast(value, Double)
    name = figure.function.removesuffix("Distinct")
    return Function(name, number if name == figure.function else distinct(number), type_=Double())


def _group_order(key: GroupSortKey, columns: Mapping[Cell, Expression]) -> ColumnElement[Any]:
    value = columns[key.cell]
    if isinstance(key.cell, GroupCell):
        value = collate_binary(key.cell.operand, value)
    return with_direction(value, descending=key.descending)


def _told(cell: Cell, column: Expression) -> Expression:
    match cell:
        case AggregateCell() if cell.is_calculated:
            return FullPrecision(column)
        case GroupCell(Operand() as operand) if is_json(operand):
            return NestedJSON(AsJSON(column))
        case _:
            return column
