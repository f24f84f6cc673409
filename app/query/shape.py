"""From the rows of a statement to an answer, already under its response keys."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from app.core.values import wire_date
from app.query.aggregate import CALCULATING
from app.query.filter import DATE_PARTS
from app.query.functions import CHUNK
from app.query.scoped import Cell, Figure, GroupedBy, Many, One, Operand, Place, ScopedAggregation, ScopedRead, Value

Row = dict[str, Any]
Format = Callable[[Any], Any]


def shape(read: ScopedRead | ScopedAggregation, text: str | bytes) -> list[Row]:
    """The JSON text that a read's statement gave -> its rows as objects."""
    rows = orjson.loads(text)
    return _rows(read)(rows)


def _rows(read: ScopedRead | ScopedAggregation) -> Callable[[Sequence[Any]], list[Row]]:
    one = _row(read)
    return lambda rows: [one(row) for row in rows]


def _row(read: ScopedRead | ScopedAggregation) -> Callable[[Sequence[Any]], Row]:
    formats = [_format(cell) for cell in read.cells]
    places = [_place(place, formats) for place in read.places]
    chunked = len(read.cells) > CHUNK

    def row(cells: Sequence[Any]) -> Row:
        flat = [cell for chunk in cells for cell in chunk] if chunked else cells
        return {key: value(flat) for key, value in places}

    return row


def _place(place: Place, formats: list[Format]) -> tuple[str, Callable[[Sequence[Any]], Any]]:
    if place.parts is not None:
        parts = [_place(part, formats) for part in place.parts]
        return place.key, lambda cells: {key: value(cells) for key, value in parts}
    if place.cell is None:
        return place.key, lambda _: place.constant
    at, told = place.cell, str if place.text else formats[place.cell]
    return place.key, lambda cells: None if cells[at] is None else told(cells[at])


def _format(cell: Cell) -> Format:
    match cell:
        case One(_, read):
            return _row(read)
        case Many(_, read):
            return _rows(read)
        case Value(Operand(field, _, False, None)) | GroupedBy(Operand(field, _, False, None)):
            return FORMATS.get(field.kind, _same)
        case GroupedBy(Operand(function=function)) if function in DATE_PARTS:
            return str  # as Directus tells a group's part of a date, and only there
        case Figure(function) if function in CALCULATING:
            return _number
        case _:
            return _same


def _same(value: Any) -> Any:
    return value


def _number(value: str | float) -> float:
    """A calculated number as JSON spells it in JavaScript: whole where it is whole."""
    number = float(value)
    return int(number) if number.is_integer() else number


def _words(value: str) -> list[str]:
    return value.split(",") if value else []


FORMATS: dict[str, Format] = {"timestamp": wire_date, "boolean": bool, "csv": _words}
"""How the value of a kind is told where JSON's own spelling isn't it."""
