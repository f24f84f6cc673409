"""From a ScopedRead to one SQL statement, whatever is nested in it."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    select,
)

from app.query import functions as sql
from app.query.collection import target
from app.query.expressions import condition, is_json, linked, shown_where, sort_key, value_of
from app.query.functions import Embedded, JsonRows
from app.query.scoped import (
    Cell,
    Many,
    One,
    Operand,
    ScopedRead,
    Step,
    Value,
)

Expression = ColumnElement[Any]


def render(read: ScopedRead) -> ColumnElement[str]:
    """The rows of a read as one JSON text of positional arrays, `[]` where there are none."""
    return cast(_rows(read, read.collection.table.alias()), Text)


def _rows(read: ScopedRead, row: FromClause, outer: FromClause | None = None, step: Step | None = None) -> Expression:
    """The aggregate behind the root and behind every to-many relation, which `step` links to its `outer` row."""
    page = _Page(row)
    told = page.place(read.cells, row)
    order = [sort_key(key, row) for key in read.order]
    where = [linked(step, outer, row)] if step and outer is not None else []
    numbered = func.row_number().over(order_by=order).label("n")
    inner = select(*page.columns, numbered).select_from(page.source).where(*where, condition(read.where, row))
    inner = inner.order_by(*order).offset(read.offset or None)
    # SQLite keeps the order of a subquery only while a limit stops it from being flattened.
    inner = inner.limit(read.limit if read.limit is not None else sql.NoLimit())
    rows = (inner if outer is None else inner.correlate(outer)).subquery()
    array = sql.array([tell(rows) for tell in told])
    return select(JsonRows(array, rows.c.n)).select_from(rows).scalar_subquery()


class _Page:
    """The columns of one list, and the to-one relations joined for them."""

    def __init__(self, row: FromClause) -> None:
        self.source: FromClause = row
        self.columns: list[Expression] = []

    def place(self, cells: Sequence[Cell], row: FromClause) -> list[Callable[[Subquery], Expression]]:
        """Adds what the cells of a row need; gives how each is told once the columns are a subquery's."""
        return [self._cell(cell, row) for cell in cells]

    def _cell(self, cell: Cell, row: FromClause) -> Callable[[Subquery], Expression]:
        match cell:
            case Value(operand):
                column = self._add(value_of(operand, row))
                embedded = isinstance(operand, Operand) and is_json(operand)
                return lambda rows: Embedded(rows.c[column]) if embedded else rows.c[column]
            case Many(step, read):
                there = target(step.field).table.alias()
                column = self._add(shown_where(step.visible, row, _rows(read, there, row, step)))
                return lambda rows: Embedded(rows.c[column])
            case One(step, read):
                return self._one(step, read, row)

    def _one(self, step: Step, read: ScopedRead, row: FromClause) -> Callable[[Subquery], Expression]:
        there = target(step.field).table.alias()
        self.source = self.source.outerjoin(there, and_(linked(step, row, there), condition(read.where, there)))
        found, told = self._add(there.c.id), self.place(read.cells, there)
        return lambda rows: case((rows.c[found].is_not(None), sql.array([tell(rows) for tell in told])))

    def _add(self, column: Expression) -> str:
        name = f"c{len(self.columns)}"
        self.columns.append(column.label(name))
        return name
