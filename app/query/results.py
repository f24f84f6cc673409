"""From the rows of a statement to an answer, already under its response keys."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from app.core.values import format_timestamp
from app.query.filter import DATE_PARTS
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

Row = dict[str, Any]
Formatter = Callable[[Any], Any]


def is_database_json(read: ScopedRead | ScopedAggregation) -> bool:
    """Whether the database's own JSON is the answer: objects under their keys, with nothing left to be reformatted."""
    return _is_plain(read.output_fields) and all(
        is_database_json(cell.read) if isinstance(cell, ToOneCell | ToManyCell) else _is_told(cell)
        for cell in read.cells
    )


def _is_plain(places: Sequence[OutputField]) -> bool:
    named = all(GRAPHQL_NAME.fullmatch(place.key) and _is_plain(place.parts or ()) for place in places)
    return named and len(places) <= MAX_OBJECT_MEMBERS


def _is_told(cell: Cell) -> bool:
    return _format(cell) in (_same, bool)


def row_decoder(read: ScopedRead | ScopedAggregation) -> Callable[[str | bytes], list[Row]]:
    """What turns the JSON text that a read's statement gives into its rows as objects."""
    if is_database_json(read):
        return orjson.loads
    rows = _rows(read)
    return lambda text: rows(orjson.loads(text))


def _rows(read: ScopedRead | ScopedAggregation) -> Callable[[Sequence[Any]], list[Any]]:
    one = _format(read.cells[0]) if isinstance(read, ScopedRead) and read.flat else _row(read)
    return lambda rows: [one(row) for row in rows]


def _row(read: ScopedRead | ScopedAggregation) -> Callable[[Sequence[Any]], Row]:
    formats = [_format(cell) for cell in read.cells]
    if len(read.cells) > MAX_FUNCTION_ARGUMENTS:
        places = [_place(place, formats) for place in read.output_fields]
        return lambda chunks: _told(places, [cell for chunk in chunks for cell in chunk])
    if [place.cell for place in read.output_fields] == list(range(len(formats))):
        return _straight(read.output_fields, formats)
    places = [_place(place, formats) for place in read.output_fields]
    return lambda cells: _told(places, cells)


def _told(places: list[tuple[str, Callable[[Sequence[Any]], Any]]], cells: Sequence[Any]) -> Row:
    return {key: value(cells) for key, value in places}


def _straight(places: Sequence[OutputField], formats: Sequence[Formatter]) -> Callable[[Sequence[Any]], Row]:
    """Cells that stand in the answer's own order: most are told as they are, and only the others looked at."""
    keys = [place.key for place in places]
    told = [
        (place.key, _as_text(format_) if place.as_text else format_)
        for place, format_ in zip(places, formats, strict=True)
    ]
    special = [(key, format_) for key, format_ in told if format_ is not _same]

    def row(cells: Sequence[Any]) -> Row:
        made = dict(zip(keys, cells, strict=True))
        for key, format_ in special:
            if (value := made[key]) is not None:
                made[key] = format_(value)
        return made

    return row


def _place(place: OutputField, formats: list[Formatter]) -> tuple[str, Callable[[Sequence[Any]], Any]]:
    if place.parts is not None:
        parts = [_place(part, formats) for part in place.parts]
        return place.key, lambda cells: {key: value(cells) for key, value in parts}
    if place.cell is None:
        return place.key, lambda _: place.constant
    at, told = place.cell, _as_text(formats[place.cell]) if place.as_text else formats[place.cell]
    return place.key, lambda cells: None if cells[at] is None else told(cells[at])


def _format(cell: Cell) -> Formatter:
    match cell:
        case ToOneCell(_, read):
            return _row(read)
        case ToManyCell(_, read):
            return _rows(read)
        case AggregateCell() if cell.is_calculated:
            return _number
        case (
            Value(Operand(field, _, False, None))
            | GroupCell(Operand(field, _, False, None))
            | AggregateCell("min" | "max", Operand(field, _, False))
        ):
            return FORMATTERS.get(field.kind, _same)
        case GroupCell(Operand(function=function)) if function in DATE_PARTS:
            return str  # as Directus tells a group's part of a date, and only there
        case _:
            return _same


def _as_text(told: Formatter) -> Formatter:
    return lambda value: str(told(value))


def _same(value: Any) -> Any:
    return value


def _number(value: str | float) -> float:
    """A calculated number as JSON spells it in JavaScript: whole where it is whole."""
    number = float(value)
    return int(number) if number.is_integer() else number


def _words(value: str) -> list[str]:
    return value.split(",") if value else []


FORMATTERS: dict[str, Formatter] = {"timestamp": format_timestamp, "boolean": bool, "csv": _words}
"""How the value of a kind is told where JSON's own spelling isn't it."""
