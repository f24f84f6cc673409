"""Decoders that turn the JSON of a statement into rows under their response keys."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import orjson

from app.core.timestamps import INFINITIES, format_timestamp
from app.query.scoped import (
    AggregateCell,
    Cell,
    GroupCell,
    Operand,
    OutputField,
    ScopedAggregation,
    ScopedRead,
    ToManyCell,
    ToOneCell,
    Value,
)
from app.query.sql_functions import GRAPHQL_NAME, MAX_FUNCTION_ARGUMENTS, MAX_OBJECT_MEMBERS

SERIALIZABLE_INTEGERS = range(-(2**63), 2**64)
"""The integers that orjson serializes."""

Row = dict[str, Any]
Cells = Sequence[Any]
"""The values of a row in the order of its cells."""
Formatter = Callable[[Any], Any]
Getter = Callable[[Cells], Any]


def is_database_json(read: ScopedRead | ScopedAggregation) -> bool:
    """Return whether the database can build the response's objects itself, with nothing left to format."""
    return _has_plain_keys(read.output_fields) and all(
        is_database_json(cell.read) if isinstance(cell, ToOneCell | ToManyCell) else _is_plain_json(cell)
        for cell in read.cells
    )


def _has_plain_keys(fields: Sequence[OutputField]) -> bool:
    plain = all(GRAPHQL_NAME.fullmatch(field.key) and _has_plain_keys(field.parts or ()) for field in fields)
    return plain and len(fields) <= MAX_OBJECT_MEMBERS


def _is_plain_json(cell: Cell) -> bool:
    return _formatter(cell) in (_unchanged, bool)


def row_decoder(read: ScopedRead | ScopedAggregation) -> Callable[[str | bytes], list[Row]]:
    """Return a function that decodes the JSON text of a read's statement into rows."""
    if is_database_json(read):
        return orjson.loads
    decode = _rows_decoder(read)
    return lambda text: decode(orjson.loads(text))


def object_decoder(read: ScopedRead) -> Callable[[Any], Row]:
    """Return a function that turns the parsed JSON of one row of a read's statement into a row."""
    return _unchanged if is_database_json(read) else _object_decoder(read)


def response_format(read: ScopedRead) -> Hashable:
    """Return what decides how rows are decoded: reads with equal ones have the same decoder."""
    return read.output_fields, tuple(map(_cell_format, read.cells))


def _cell_format(cell: Cell) -> Hashable:
    match cell:
        case ToOneCell(_, read) | ToManyCell(_, read):
            return type(cell).__name__, response_format(read)
        case Value(Operand(field, _, masked, function)):
            return field, masked, function
    return type(cell).__name__


def _rows_decoder(read: ScopedRead | ScopedAggregation) -> Callable[[Sequence[Any]], list[Any]]:
    decode = _formatter(read.cells[0]) if isinstance(read, ScopedRead) and read.flat else _object_decoder(read)
    return lambda rows: [decode(row) for row in rows]


def _object_decoder(read: ScopedRead | ScopedAggregation) -> Callable[[Cells], Row]:
    formatters = [_formatter(cell) for cell in read.cells]
    if len(read.cells) > MAX_FUNCTION_ARGUMENTS:
        getters = [_getter(field, formatters) for field in read.output_fields]
        return lambda chunks: _build_object(getters, [cell for chunk in chunks for cell in chunk])
    if [field.cell for field in read.output_fields] == list(range(len(formatters))):
        return _ordered_decoder(read.output_fields, formatters)
    getters = [_getter(field, formatters) for field in read.output_fields]
    return lambda cells: _build_object(getters, cells)


def _build_object(getters: list[tuple[str, Getter]], cells: Cells) -> Row:
    return {key: get(cells) for key, get in getters}


def _ordered_decoder(fields: Sequence[OutputField], formatters: Sequence[Formatter]) -> Callable[[Cells], Row]:
    """Return a decoder for cells in the response's order. It only visits the few cells that need formatting."""
    keys = [field.key for field in fields]
    all_formatters = [
        (field.key, _as_text(formatter) if field.as_text else formatter)
        for field, formatter in zip(fields, formatters, strict=True)
    ]
    needed = [(key, formatter) for key, formatter in all_formatters if formatter is not _unchanged]

    def decode(cells: Cells) -> Row:
        row = dict(zip(keys, cells, strict=True))
        for key, formatter in needed:
            if (value := row[key]) is not None:
                row[key] = formatter(value)
        return row

    return decode


def _getter(field: OutputField, formatters: list[Formatter]) -> tuple[str, Getter]:
    if field.parts is not None:
        parts = [_getter(part, formatters) for part in field.parts]
        return field.key, lambda cells: {key: get(cells) for key, get in parts}
    if field.cell is None:
        return field.key, lambda _: field.constant
    index, formatter = field.cell, _as_text(formatters[field.cell]) if field.as_text else formatters[field.cell]
    return field.key, lambda cells: None if cells[index] is None else formatter(cells[index])


def _formatter(cell: Cell) -> Formatter:
    match cell:
        case ToOneCell(_, read):
            return _object_decoder(read)
        case ToManyCell(_, read):
            return _rows_decoder(read)
        case AggregateCell() if cell.is_average:
            return _number
        case AggregateCell() if cell.is_sum:
            return _sum
        case (
            Value(Operand(field, _, False, None))
            | GroupCell(Operand(field, _, False, None))
            | AggregateCell("min" | "max", Operand(field, _, False))
        ):
            return _FORMATTERS.get(field.kind, _unchanged)
        case _:
            return _unchanged


def _as_text(formatter: Formatter) -> Formatter:
    if formatter in (_unchanged, _sum, float):  # the database returns these as texts already, or as integers
        return str
    return lambda value: str(formatter(value))


def _unchanged(value: Any) -> Any:
    return value


def _number(value: str | float) -> float:
    """Return a calculated number as JavaScript prints it: without a fraction if it is whole."""
    number = float(value)
    return int(number) if number.is_integer() else number


def _sum(digits: str) -> float:
    """Return a sum as a number: exactly, or rounded if it is no integer, or has more bits than one may have in JSON."""
    if not digits.removeprefix("-").isdecimal():
        return float(digits)
    number = int(digits)
    return number if number in SERIALIZABLE_INTEGERS else float(number)


def _split_csv(value: str) -> list[str]:
    return value.split(",") if value else []


def _plain_time(text: str) -> str | None:
    """Return a date, or a date and time without a zone, without its fraction of a second; clients have no infinity."""
    return None if text in INFINITIES else text.partition(".")[0]


_FORMATTERS: dict[str, Formatter] = {
    "timestamp": format_timestamp,
    "boolean": bool,
    "csv": _split_csv,
    "decimal": float,
    "date": _plain_time,
    "dateTime": _plain_time,
}
"""The formatters of the field kinds whose values differ from the database's JSON."""
