"""Conversion of request values to the kind of a field: text, booleans, UUIDs, dates and numbers."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import partial
from math import isfinite
from typing import Any

from app.core.bindings import BoundParameter, SlotList, SlotNumber, SlotText, bind
from app.core.timestamps import parse_date
from app.core.values import KEY_LENGTH, canonical_uuid, is_storable
from app.query.collection import FieldKind

INTEGER_BOUNDS = {"integer": 2**31, "bigInteger": 2**63}
"""The number above the largest of each integer kind; its negative is the smallest."""
MAX_FLOAT = 3.4e38
"""The largest number that PostgreSQL's `real` holds, which is what a float is there."""
MAX_DECIMAL_DIGITS = 1000
PLAIN_TIME_KINDS = {"date", "time", "dateTime"}
"""Kinds of times without a time zone."""
_TIME = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?", re.ASCII)
BINDABLE_KINDS = {"uuid", "timestamp", "string", "csv", "date", "time", "dateTime"}
"""Kinds for which any text can be bound. The type of a number would depend on its digits."""


def _text_value(value: Any) -> str:
    if type(value) is str and value.isascii() and "\0" not in value:  # fast path for nearly all values
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return storable_text(value)


def storable_text(value: Any) -> str:
    """Return a string or a number as a text that both databases can store.

    Raises:
        ValueError: The value is of another type, or contains characters that a database cannot store.
    """
    if not isinstance(value, str | int | float):
        raise ValueError("Expected a string")
    text = str(value)
    if not is_storable(text):
        raise ValueError("A string must not contain U+0000 or an unpaired surrogate")
    return text


def _boolean_value(value: Any) -> bool:
    booleans = {"true": True, "1": True, "false": False, "0": False}
    text = str(value).lower()
    if not isinstance(value, bool | int | str) or text not in booleans:
        raise ValueError("Expected true or false")
    return booleans[text]


def _uuid_value(value: Any) -> str:
    try:
        return canonical_uuid(value) if len(value) == KEY_LENGTH else _reject_uuid()
    except (ValueError, TypeError, AttributeError):
        return _reject_uuid()


def _reject_uuid() -> str:
    raise ValueError("Expected a UUID, such as 5a225ad4-1acf-4943-8fd4-5f9257dd1def")


def _date_value(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return parse_date(value)
    except (ValueError, TypeError):
        raise ValueError("Expected a date of the years 1 to 9999, such as 2024-01-15T10:30:45Z") from None


def _number_value(kind: FieldKind, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("Invalid numeric value")
    try:
        number = float(value)
        exact = int(value) if isinstance(value, int | str) and number.is_integer() and "." not in str(value) else number
    except (ValueError, OverflowError):
        raise ValueError("Invalid numeric value") from None
    if not -INTEGER_BOUNDS[kind] <= exact < INTEGER_BOUNDS[kind]:
        raise ValueError(f"Expected a number between -{INTEGER_BOUNDS[kind]} and {INTEGER_BOUNDS[kind] - 1}")
    return exact


def _float_value(value: Any) -> float:
    number = _finite(value)
    if abs(number) > MAX_FLOAT:
        raise ValueError(f"Expected a number between -{MAX_FLOAT:g} and {MAX_FLOAT:g}")
    return number


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("Invalid numeric value")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("Invalid numeric value") from None
    if not isfinite(number):
        raise ValueError("Invalid numeric value")
    return number


def _decimal_value(value: Any) -> Decimal:
    _finite(value)
    number = Decimal(str(value))
    if abs(number.adjusted()) > MAX_DECIMAL_DIGITS:
        raise ValueError(f"Expected a number of at most {MAX_DECIMAL_DIGITS} digits")
    return number


def _plain_date(value: Any) -> str:
    return _as_moment(value).date().isoformat()


def _plain_datetime(value: Any) -> str:
    return _as_moment(value).replace(microsecond=0, tzinfo=None).isoformat()


def _as_moment(value: Any) -> datetime:
    return _date_value(value).astimezone(UTC)


def _plain_time(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).time().isoformat(timespec="seconds")
    if isinstance(value, str) and _TIME.fullmatch(value):
        with suppress(ValueError):
            text = time.fromisoformat(value).isoformat()
            return text.rstrip("0") if "." in text else text  # as PostgreSQL writes it
    raise ValueError("Expected a time of day, such as 10:30:45")


def coerce(kind: FieldKind, value: Any) -> Any:
    """Return a filter's value converted to the kind of the field it is compared with.

    A Slot becomes a BoundParameter if the plan is the same for every value of its type.

    Raises:
        ValueError: The value cannot be converted; the message says what is expected.
    """
    if value is None:
        return None
    if (isinstance(value, SlotText) and kind in BINDABLE_KINDS) or (
        isinstance(value, SlotNumber) and kind in INTEGER_BOUNDS
    ):
        return bind(value, kind, _converter(kind), canonical=kind == "uuid")
    if isinstance(value, BoundParameter):
        return value if kind == "timestamp" else _bound_moment(kind, value)
    return _converter(kind)(value)


def coerce_list(kind: FieldKind, items: list[Any]) -> Any:
    """Return the items converted as by `coerce`: a tuple, or one BoundParameter for a SlotList."""
    if isinstance(items, SlotList):
        convert = _converter(kind)
        return bind(items, f"{kind}s", lambda values: [convert(item) for item in values])
    return tuple(coerce(kind, item) for item in items)


def _bound_moment(kind: FieldKind, moment: BoundParameter) -> BoundParameter:
    """Return the time of the request, as plans bind it, as a value of a kind without a time zone."""
    if kind not in PLAIN_TIME_KINDS:
        raise ValueError("A time cannot be compared with a value of another kind")
    convert, compute = _converter(kind), moment.compute
    return BoundParameter(
        f"{kind}:{moment.name}", moment.sources, convert(moment.sample), lambda bindings: convert(compute(bindings))
    )


_CONVERTERS: dict[FieldKind, Callable[[Any], Any]] = {
    "uuid": _uuid_value,
    "boolean": _boolean_value,
    "timestamp": _date_value,
    "integer": partial(_number_value, "integer"),
    "bigInteger": partial(_number_value, "bigInteger"),
    "float": _float_value,
    "decimal": _decimal_value,
    "date": _plain_date,
    "time": _plain_time,
    "dateTime": _plain_datetime,
}


def _converter(kind: FieldKind) -> Callable[[Any], Any]:
    return _CONVERTERS.get(kind, _text_value)
