"""The values of an import file: each is checked against its column and converted to what the column stores."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, Integer, String
from sqlalchemy.types import TypeEngine

from app.core.errors import OperatorError
from app.core.json_values import MAX_STORED_JSON_DEPTH, normalized_json
from app.core.timestamps import INFINITIES, StoredTime, parse_stored_time
from app.core.values import is_storable
from app.db.base import POSTGRESQL, Csv, JsonText, Timestamp, UUIDText

INTEGER_BITS: tuple[tuple[type[TypeEngine[Any]], int], ...] = ((BigInteger, 64), (Integer, 32))


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
    except (ValueError, TypeError, AttributeError):
        expected = _describe(column, dialect)
        raise OperatorError(f"{location}: the value is {type(value).__name__}, the column holds {expected}.") from None


def _convert(column: Column[Any], value: Any, dialect: str) -> Any:
    converters: tuple[tuple[type, type | tuple[type, ...], Callable[[Any], Any]], ...] = (
        (UUIDText, str, lambda text: str(UUID(text))),
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
    years = "" if dialect == POSTGRESQL else " of the years 1 to 9999"
    names: dict[type, str] = {
        UUIDText: "a UUID",
        Timestamp: f"a date{years}",
        Csv: "a comma-separated list without U+0000",
        Boolean: "true or false",
        JsonText: f"JSON nested at most {MAX_STORED_JSON_DEPTH} levels deep, without U+0000",
    }
    name = next((name for type_, name in names.items() if isinstance(column.type, type_)), None)
    max_length = getattr(column.type, "length", None)
    return name or (f"a text of up to {max_length} characters" if max_length else "a text") + " without U+0000"
