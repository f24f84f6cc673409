"""The rows of the tables that describe fields and relations, read as JSON along with other columns of a statement."""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import Boolean, Column, ColumnElement, Table, Text, cast, literal_column, select

from app.db.base import Csv, JsonText
from app.db.models import FieldMeta, RelationMeta
from app.query.sql_functions import JSONArray, JSONRows

FIELD_ROWS: Table = FieldMeta.__table__  # type: ignore[assignment]  # mapped to a plain table
RELATION_ROWS: Table = RelationMeta.__table__  # type: ignore[assignment]  # mapped to a plain table


def rows_as_json(table: Table, owner: Column[Any], collections: Iterable[str]) -> ColumnElement[Any]:
    """Return the rows of these collections, whose names must be names of this code, as one JSON text."""
    cells = [cast(column, Text) if isinstance(column.type, JsonText) else column for column in table.columns]
    names: list[Any] = [literal_column(f"'{name}'") for name in sorted(collections)]
    return select(cast(JSONRows(JSONArray(*cells)), Text)).where(owner.in_(names)).scalar_subquery()


def parse_rows(table: Table, text: str) -> list[dict[str, Any]]:
    """Return the rows in such a text by the names of their columns, in the order of their keys."""
    rows = [
        {str(column.name): _value(column, cell) for column, cell in zip(table.columns, row, strict=True)}
        for row in orjson.loads(text)
    ]
    return sorted(rows, key=lambda row: row["id"])


def _value(column: Column[Any], cell: Any) -> Any:
    if cell is None:
        return None
    if isinstance(column.type, JsonText):
        return orjson.loads(cell)
    if isinstance(column.type, Csv):
        return cell.split(",") if cell else []
    return bool(cell) if isinstance(column.type, Boolean) else cell
