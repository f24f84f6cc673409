"""The SQL expression for a scoped query, which reads everything nested in it with one statement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    FromClause,
    Function,
    Numeric,
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
from app.query.aggregate import COUNT_FUNCTIONS, EXTREMES
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
    as_output,
    collate_binary,
    condition_sql,
    is_json,
    join_condition,
    null_unless,
    sort_key,
    value_of,
    with_direction,
)
from app.query.sql_functions import AsJSON, ExactDistinctSum, ExactSum, FullPrecision, JSONBoolean, JSONRows, NestedJSON

Expression = ColumnElement[Any]
RowEncoder = Callable[[ScopedRead | ScopedAggregation, Sequence[Expression]], Expression]
"""Builds the JSON of a row from the values of its cells."""
CellReader = Callable[[Subquery], Expression]
"""Returns a cell's value from the subquery that contains its columns."""


MIN_FAR_OFFSET = 1_000
"""The number of skipped rows from which on it takes less time to find the keys of a page first."""


def build_select(read: ScopedRead | ScopedAggregation, *, keys_first: bool | None = None) -> ColumnElement[str]:
    """Return an expression for the rows of a read as one JSON text, `[]` without rows.

    The rows are the response's objects if the database can build them (`is_database_json`), otherwise arrays of cells.
    With `keys_first` the statement finds the keys of the rows before it reads their values, so that for skipped rows
    the database reads only what it needs to filter and sort, often from an index alone. The result is the same. By
    default it does if the offset is known and far.
    """
    row, encode_row = read.collection.table.alias(), row_encoder(read)
    if not isinstance(read, ScopedRead):
        return cast(_select_groups(read, row, encode_row), Text)
    if keys_first is None:
        keys_first = read.limit is not None and not isinstance(read.offset, BoundParameter) and is_far(read.offset)
    return cast(_select_rows(read, row, encode_row, keys_first=keys_first), Text)


def is_far(offset: int) -> bool:
    """Return whether a page with this offset takes less time if its keys are found first."""
    return offset >= MIN_FAR_OFFSET


def bound_offset(read: ScopedRead | ScopedAggregation) -> BoundParameter | None:
    """Return the offset of a page if each request has its own, so that some may be far."""
    is_page = isinstance(read, ScopedRead) and read.limit is not None
    return read.offset if is_page and isinstance(read.offset, BoundParameter) else None


def row_encoder(read: ScopedRead | ScopedAggregation) -> RowEncoder:
    """Return what builds the JSON of a row: the response's object if the database can build it, else an array."""
    return _encode_object if is_database_json(read) else _encode_array


def _encode_array(read: ScopedRead | ScopedAggregation, values: Sequence[Expression]) -> Expression:
    return values[0] if _is_flat(read) else sql.json_array(values)


def _encode_object(read: ScopedRead | ScopedAggregation, values: Sequence[Expression]) -> Expression:
    if _is_flat(read):
        return values[0]
    members = [_as_json(cell, value) for cell, value in zip(read.cells, values, strict=True)]
    return _json_object(read.output_fields, members)


def _is_flat(read: ScopedRead | ScopedAggregation) -> bool:
    return isinstance(read, ScopedRead) and read.flat


def _json_object(fields: Sequence[OutputField], values: Sequence[Expression]) -> Expression:
    return sql.json_object([(field.key, _json_value(field, values)) for field in fields])


def _json_value(field: OutputField, values: Sequence[Expression]) -> Expression:
    if field.parts is not None:
        return _json_object(field.parts, values)
    if field.cell is None:
        return null() if field.constant is None else literal(field.constant, Text())
    return cast(values[field.cell], Text) if field.as_text else values[field.cell]


def _as_json(cell: Cell, value: Expression) -> Expression:
    match cell:
        case Value(Operand(field, function=None)) | GroupCell(Operand(field, function=None)) if field.kind == "boolean":
            return JSONBoolean(value)
        case _:
            return value


def _select_rows(
    read: ScopedRead,
    row: FromClause,
    encode_row: RowEncoder,
    outer: FromClause | None = None,
    relation: ScopedRelation | None = None,
    *,
    keys_first: bool = False,
) -> Expression:
    """Return the aggregated rows of the root or of a to-many relation, which `relation` links to its `outer` row."""
    column_list = ColumnList(row, encode_row)
    readers = column_list.add_cells(read.cells, row)
    order = [sort_key(key, row) for key in read.order]
    where = [join_condition(relation, outer, row)] if relation and outer is not None else []
    columns = column_list.columns or [literal(1).label("one")]  # SQLite requires a column; a row may have no value
    page = select(*columns).select_from(column_list.source).order_by(*order)
    # SQLite preserves the order of a subquery only if a limit prevents it from being flattened.
    if keys_first:
        page = _limit(page.where(_is_on_page(read, row)), replace(read, offset=0))
    else:
        page = _limit(page.where(*where, condition_sql(read.where, row)), read)
    rows = (page if outer is None else page.correlate(outer)).subquery()
    return select(JSONRows(encode_row(read, [reader(rows) for reader in readers]))).select_from(rows).scalar_subquery()


def _is_on_page(read: ScopedRead, row: FromClause) -> Expression:
    """Return whether the key of a row is among those that a read of the root returns."""
    other, key = read.collection.table.alias(), Operand(read.collection.key)
    keys = select(value_of(key, other)).where(condition_sql(read.where, other))
    page = _limit(keys.order_by(*(sort_key(sort, other) for sort in read.order)), read)
    return sql.InPage(value_of(key, row), page.scalar_subquery())


def _limit(rows: Select[Any], read: ScopedRead | ScopedAggregation) -> Select[Any]:
    limit = sql.NoLimit() if read.limit is None else literal(read.limit, BigInteger())
    offset = read.offset if isinstance(read.offset, BoundParameter) else read.offset or None
    return rows.limit(limit).offset(None if offset is None else literal(offset, BigInteger()))


class ColumnList:
    """The columns of one list's subquery, and its source with the to-one relations joined for them."""

    def __init__(self, row: FromClause, encode_row: RowEncoder) -> None:
        self.source: FromClause = row
        self._encode_row = encode_row
        self.columns: list[Expression] = []

    def add_cells(self, cells: Sequence[Cell], row: FromClause) -> list[CellReader]:
        """Add the columns that the cells of a row need, and return a reader for each cell."""
        return [self._add_cell(cell, row) for cell in cells]

    def _add_cell(self, cell: Cell, row: FromClause) -> CellReader:
        match cell:
            case Value(operand):
                name = self._add_column(as_output(operand, value_of(operand, row)))
                is_nested = isinstance(operand, Operand) and is_json(operand)
                return lambda rows: NestedJSON(rows.c[name]) if is_nested else rows.c[name]
            case ToManyCell(relation, read):
                related = relation.target.table.alias()
                nested = _select_rows(read, related, self._encode_row, row, relation)
                name = self._add_column(null_unless(relation.visible, row, nested))
                return lambda rows: NestedJSON(rows.c[name])
            case ToOneCell(relation, read):
                return self._add_to_one(relation, read, row)
            case GroupCell() | AggregateCell():
                raise TypeError("only grouped rows have such cells")

    def _add_to_one(self, relation: ScopedRelation, read: ScopedRead, row: FromClause) -> CellReader:
        related = relation.target.table.alias()
        on = and_(join_condition(relation, row, related), condition_sql(read.where, related))
        self.source = self.source.outerjoin(related, on)
        key, readers = self._add_column(related.c.id), self.add_cells(read.cells, related)
        return lambda rows: case(
            (rows.c[key].is_not(None), self._encode_row(read, [reader(rows) for reader in readers]))
        )

    def _add_column(self, column: Expression) -> str:
        name = f"c{len(self.columns)}"
        self.columns.append(column.label(name))
        return name


def _select_groups(read: ScopedAggregation, row: FromClause, encode_row: RowEncoder) -> Expression:
    """Return the aggregated groups in three nested subqueries: visible values, groups with aggregates, sorted page."""
    cells = read.cells
    operands = dict.fromkeys(cell.operand for cell in cells if cell.operand is not None and _counts_some(cell, read))
    labels = {operand: _groupable(operand, row).label(f"v{index}") for index, operand in enumerate(operands)}
    columns = list(labels.values()) or [literal(1).label("one")]
    visible = select(*columns).select_from(row).where(condition_sql(read.where, row)).subquery()
    values = {operand: visible.c[label.name] for operand, label in labels.items()}
    keys = [values[group.operand] for group in read.groups]
    counted = [cell if _counts_some(cell, read) else AggregateCell("countAll") for cell in read.aggregates]
    results = [*keys, *(_aggregate(cell, values) for cell in counted)]
    named = [result.label(f"c{index}") for index, result in enumerate(results)] or [func.count().label("rows")]
    groups = select(*named).select_from(visible).group_by(*keys).subquery()
    group_columns: dict[Cell, Expression] = dict(zip(cells, groups.c, strict=False))
    order = [_group_sort_key(key, group_columns) for key in read.order]
    page = _limit(select(groups).order_by(*order), read).subquery()
    encoded = [_encode_cell(cell, column) for cell, column in zip(cells, page.c, strict=False)]
    return select(JSONRows(encode_row(read, encoded))).select_from(page).scalar_subquery()


def _counts_some(cell: GroupCell | AggregateCell, read: ScopedAggregation) -> bool:
    """Return whether a cell needs its operand: a count of the keys is that of the rows, for which any index will do."""
    is_count = isinstance(cell, AggregateCell) and cell.function in COUNT_FUNCTIONS
    return not is_count or cell.operand != Operand(read.collection.key)


def _groupable(operand: Operand | Count, row: FromClause) -> Expression:
    """Return a value in a form that can be grouped and compared, which PostgreSQL's JSON cannot."""
    value = value_of(operand, row)
    return cast(value, Text) if isinstance(operand, Operand) and is_json(operand) else value


def _aggregate(cell: AggregateCell, values: Mapping[Operand | Count, Expression]) -> Expression:
    if cell.operand is None:
        return func.count()
    value = values[cell.operand]
    if cell.function in COUNT_FUNCTIONS:
        if isinstance(cell.operand, Count):
            return func.coalesce(func.sum(value), 0)  # related rows belong to one row only, so all are distinct
        return func.count(value if cell.function == "count" else distinct(value))
    if cell.is_sum:
        return _sum(cell, value)
    if cell.is_average:
        number = cast(value, Double)
        return func.avg(number if cell.function == "avg" else distinct(number), type_=Double())
    return Function(cell.function, collate_binary(cell.operand, value), type_=value.type)


def _sum(cell: AggregateCell, value: Expression) -> Expression:
    kind = cell.operand.field.kind if isinstance(cell.operand, Operand) else "integer"
    if kind in ("float", "decimal"):
        number = cast(value, Double) if kind == "float" else value
        return func.sum(number if cell.function == "sum" else distinct(number))
    return ExactSum(value) if cell.function == "sum" else ExactDistinctSum(value)


def _group_sort_key(key: GroupSortKey, columns: Mapping[Cell, Expression]) -> ColumnElement[Any]:
    cell, value = key.cell, columns[key.cell]
    if isinstance(cell, AggregateCell) and cell.is_sum:
        value = cast(value, Numeric)  # on SQLite it is a text
    elif cell.operand is not None and (isinstance(cell, GroupCell) or cell.function in EXTREMES):
        value = collate_binary(cell.operand, value)
    return with_direction(value, descending=key.descending)


def _encode_cell(cell: Cell, value: Expression) -> Expression:
    match cell:
        case AggregateCell() if cell.is_average:
            return FullPrecision(value)
        case AggregateCell() if cell.is_sum:
            is_decimal = isinstance(cell.operand, Operand) and cell.operand.field.kind == "decimal"
            return as_output(cell.operand, value) if cell.operand and is_decimal else cast(value, Text)
        case GroupCell(Operand() as operand) if is_json(operand):
            return NestedJSON(AsJSON(value))
        case GroupCell(operand) | AggregateCell("min" | "max", operand) if operand is not None:
            return as_output(operand, value)
        case _:
            return value
