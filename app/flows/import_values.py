"""The values of a file: what an export writes for a stored value, and what a column stores for the file's value."""

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from struct import pack, unpack
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, Integer, String
from sqlalchemy.types import TypeEngine

from app.core.errors import OperatorError
from app.core.json_values import MAX_STORED_JSON_DEPTH, normalized_json
from app.core.timestamps import INFINITIES, StoredTime, parse_stored_time
from app.core.values import is_storable
from app.db.base import POSTGRESQL, Csv, ExactDecimal, JsonText, PlainTime, Real, Timestamp, UUIDText
from app.query.coercion import MAX_FLOAT, coerce

INTEGER_BITS: tuple[tuple[type[TypeEngine[Any]], int], ...] = ((BigInteger, 64), (Integer, 32))

_PLAIN_TIMES: dict[str, tuple[Callable[[str], str], str]] = {
    "date": (lambda text: date.fromisoformat(text).isoformat(), "a date such as 2024-01-15"),
    "time": (lambda text: str(coerce("time", text)), "a time such as 10:30:45"),
    "dateTime": (lambda text: _without_zone(text).isoformat(), "a date with a time such as 2024-01-15T10:30:45"),
}
"""The form of each time without a zone that is the same on both databases, and what to call it."""


def file_value(column: Column[Any], value: Any) -> Any:
    """Return what an export writes for a value of a column; it is the same whichever database stores the value."""
    type_ = column.type
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(type_, Csv) and value is not None:
        return ",".join(value)
    if isinstance(type_, Real) and value is not None and not type_.double:
        return _shortest(value)
    if isinstance(type_, PlainTime) and isinstance(value, str):
        with suppress(ValueError):  # a text that another program wrote to SQLite stays as it is
            return _PLAIN_TIMES[type_.kind][0](value)
    return value


def parse_value(column: Column[Any], value: Any, location: str, dialect: str) -> Any:
    """Return a file's value as its column stores it on this database.

    Raises:
        OperatorError: The value does not fit; the message begins with `location` and never repeats the value, which may
            be a secret.
    """
    if value is None:
        return None
    try:
        if isinstance(column.type, JsonText):
            return normalized_json(value, MAX_STORED_JSON_DEPTH)
        return _convert(column, value, dialect)
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        expected = _describe(column, dialect)
        raise OperatorError(f"{location}: the value is {type(value).__name__}, the column holds {expected}.") from None


def _convert(column: Column[Any], value: Any, dialect: str) -> Any:
    converters: tuple[tuple[type, type | tuple[type, ...], Callable[[Any], Any]], ...] = (
        (UUIDText, str, lambda text: str(UUID(text))),
        (PlainTime, str, lambda text: _plain_time(column.type, text)),
        (ExactDecimal, (str, int, float), lambda number: _decimal(column.type, Decimal(str(number)), dialect)),
        (Real, (int, float), lambda number: _real(column.type, float(number))),
        (Timestamp, str, lambda text: _stored_time(text, dialect)),
        (Csv, (str, list), lambda words: words if isinstance(words, str) else ",".join(words)),
        (Boolean, bool, bool),
        (BigInteger, (int, str), lambda digits: _integer(column, int(digits))),  # responses contain them as text
        (Integer, int, lambda number: _integer(column, number)),
        (String, str, str),
    )
    accepted, convert = next(
        (accepted, convert) for type_, accepted, convert in converters if isinstance(column.type, type_)
    )
    if not isinstance(value, accepted) or (accepted is not bool and isinstance(value, bool)):
        raise ValueError
    converted = convert(value)
    if isinstance(converted, str) and not (is_storable(converted) and len(converted) <= _max_length(column, converted)):
        raise ValueError
    return converted


def _integer(column: Column[Any], number: int) -> int:
    if not -(2 ** (_bits(column) - 1)) <= number < 2 ** (_bits(column) - 1):
        raise ValueError
    return number


def _plain_time(type_: Any, text: str) -> str:
    return _PLAIN_TIMES[type_.kind][0](text)


def _without_zone(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError
    return moment


def _decimal(type_: Any, number: Decimal, dialect: str) -> Decimal:
    if not number.is_finite() or abs(number) >= 10 ** (type_.precision - type_.scale):
        raise ValueError
    stored = Decimal(f"{float(number) if dialect != POSTGRESQL else number:.{type_.scale}f}")
    if stored != number:  # it has more digits than the column, or than SQLite's numbers
        raise ValueError
    return number


def _real(type_: Any, number: float) -> float:
    if not isfinite(number) or (abs(number) > MAX_FLOAT and not type_.double):
        raise ValueError
    return number


def _shortest(number: float) -> float:
    """Return the number with the fewest digits that a column of single precision stores as this one."""
    with suppress(OverflowError):
        for digits in range(6, 9):
            shorter = float(f"{number:.{digits}g}")
            if unpack("f", pack("f", shorter))[0] == number:
                return shorter
    return number


def _stored_time(text: str, dialect: str) -> StoredTime:
    """Return a time; SQLite compares times as texts, whose order only that of the years 1 to 9999 is."""
    moment = parse_stored_time(text)
    if isinstance(moment, str) and moment not in INFINITIES and dialect != POSTGRESQL:
        raise ValueError
    return moment


def _bits(column: Column[Any]) -> int:
    return next(bits for type_, bits in INTEGER_BITS if isinstance(column.type, type_))


def _max_length(column: Column[Any], text: str) -> int:
    return getattr(column.type, "length", None) or len(text)


def _describe(column: Column[Any], dialect: str) -> str:
    if isinstance(column.type, Integer):
        bits = _bits(column) - 1
        return f"an integer from {-(2**bits)} to {2**bits - 1}"
    if isinstance(column.type, PlainTime):
        return _PLAIN_TIMES[column.type.kind][1]
    if isinstance(column.type, ExactDecimal):
        digits = f"{column.type.precision} digits, {column.type.scale} of them after the point"
        return f"a decimal of up to {digits}" + ("" if dialect == POSTGRESQL else ", and SQLite stores 15 of them")
    years = "" if dialect == POSTGRESQL else " of the years 1 to 9999"
    names: dict[type, str] = {
        UUIDText: "a UUID",
        Timestamp: f"a date{years}",
        Csv: "a comma-separated list without U+0000",
        Boolean: "true or false",
        Real: "a number",
        JsonText: f"JSON nested at most {MAX_STORED_JSON_DEPTH} levels deep, without U+0000",
    }
    name = next((name for type_, name in names.items() if isinstance(column.type, type_)), None)
    max_length = getattr(column.type, "length", None)
    return name or (f"a text of up to {max_length} characters" if max_length else "a text") + " without U+0000"
