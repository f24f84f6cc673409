"""Default values of columns: checked against the type of their field, and written in SQL."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson

from app.core.errors import InvalidPayload
from app.core.json_values import MAX_STORED_JSON_DEPTH, normalized_json
from app.core.timestamps import parse_date
from app.core.values import is_storable
from app.db.base import POSTGRESQL, dump_json

CURRENT_TIME = {"now()", "current_timestamp", "$now"}
INTEGER_BITS = {"integer": 31, "bigInteger": 63}


def default_literal(type_: str, value: Any, dialect: str) -> str:
    """Return the default of a field of this type as a literal in SQL; `NULL` for none.

    Raises:
        InvalidPayload: The value doesn't fit the type.
    """
    if value is None:
        return "NULL"
    if isinstance(value, str) and value.lower() in CURRENT_TIME and type_ in ("date", "time", "dateTime", "timestamp"):
        raise InvalidPayload('The current time is no default: use the special "date-created"')
    try:
        return _LITERALS[type_](value, dialect)
    except (ValueError, TypeError, InvalidOperation, OverflowError):
        raise InvalidPayload(f'"schema.default_value" must be {_EXPECTED[type_]} for the type "{type_}"') from None


def quote(text: str) -> str:
    """Return a text as a literal in SQL.

    Raises:
        ValueError: A database cannot store the text.
    """
    if not is_storable(text):
        raise ValueError("U+0000 or an unpaired surrogate")
    return "'" + text.replace("'", "''") + "'"


def _text(value: Any, _: str) -> str:
    if not isinstance(value, str):
        raise TypeError
    return quote(value)


def _integer(bits: int) -> Callable[[Any, str], str]:
    def literal(value: Any, _: str) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise TypeError
        number = int(value)
        if not -(2**bits) <= number < 2**bits:
            raise ValueError
        return str(number)

    return literal


def _number(value: Any, _: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError
    return format(number, "f")


def _boolean(value: Any, dialect: str) -> str:
    flag = {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value
    if not isinstance(flag, bool):
        raise TypeError
    return str(flag).lower() if dialect == POSTGRESQL else str(int(flag))


def _csv(value: Any, _: str) -> str:
    return quote(value if isinstance(value, str) else ",".join(value))


def _json(value: Any, _: str) -> str:
    """Return JSON; a text is that of JSON, because GraphQL has no other form of a default."""
    parsed = orjson.loads(value) if isinstance(value, str) else value
    return quote(dump_json(normalized_json(parsed, MAX_STORED_JSON_DEPTH)))


def _moment(value: Any, _: str) -> str:
    moment = parse_date(value).astimezone(UTC).isoformat(timespec="microseconds")
    return quote(moment.replace("+00:00", "Z"))


_LITERALS: Mapping[str, Callable[[Any, str], str]] = {
    "string": _text,
    "text": _text,
    "hash": _text,
    "integer": _integer(INTEGER_BITS["integer"]),
    "bigInteger": _integer(INTEGER_BITS["bigInteger"]),
    "float": _number,
    "decimal": _number,
    "boolean": _boolean,
    "json": _json,
    "csv": _csv,
    "uuid": lambda value, _: quote(str(UUID(value))),
    "date": lambda value, _: quote(date.fromisoformat(value).isoformat()),
    "time": lambda value, _: quote(time.fromisoformat(value).isoformat()),
    "dateTime": lambda value, _: quote(datetime.fromisoformat(value).replace(tzinfo=None).isoformat()),
    "timestamp": _moment,
}
_EXPECTED: Mapping[str, str] = {
    "string": "a text",
    "text": "a text",
    "hash": "a text",
    "integer": "an integer of 32 bits",
    "bigInteger": "an integer of 64 bits",
    "float": "a number",
    "decimal": "a number",
    "boolean": "true or false",
    "json": "JSON",
    "csv": "a list of texts",
    "uuid": "a UUID",
    "date": "a date such as 2024-01-15",
    "time": "a time such as 10:30:45",
    "dateTime": "a date with a time such as 2024-01-15T10:30:45",
    "timestamp": "a date with a time and a zone such as 2024-01-15T10:30:45Z",
}
