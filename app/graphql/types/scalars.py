"""The custom scalars of Directus' schema."""

from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

Hash = NewType("Hash", str)
Date = NewType("Date", str)
Json = NewType("Json", object)
BigInt = NewType("BigInt", int)
StringOrFloat = NewType("StringOrFloat", object)
Void = NewType("Void", object)
PermissionsMe = NewType("PermissionsMe", object)

MAX_DIGITS = 19
"""Maximum number of digits of a 64-bit integer."""


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"String cannot represent a non string value: {value!r}")
    return value


def _big_int(value: Any) -> int | str:
    """Return an integer, which may be sent as a string: JavaScript has no exact integers beyond 53 bits."""
    digits = str(value).removeprefix("-") if isinstance(value, int | str) else ""
    if isinstance(value, bool) or not digits.isdecimal() or len(digits) > MAX_DIGITS:
        raise GraphQLError(f"GraphQLBigInt cannot represent a non-integer value: {value!r}")
    return int(value)


def _string_or_float(value: Any) -> str | int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise GraphQLError(f"GraphQLStringOrFloat cannot represent a value that is no string and no number: {value!r}")
    return value


def _unchanged(value: Any) -> Any:
    return value


def _scalar(name: str, description: str, parse: Any = _unchanged) -> ScalarDefinition:
    return strawberry.scalar(name=name, description=description, serialize=_unchanged, parse_value=parse)


SCALARS: dict[object, ScalarDefinition] = {
    Hash: _scalar("Hash", "A value that was hashed, or is kept secret: it reads as asterisks.", _string),
    Date: _scalar("Date", "A moment in UTC, such as 2024-01-15T10:30:45.000Z.", _string),
    Json: _scalar("JSON", "Any JSON value."),
    BigInt: _scalar("GraphQLBigInt", "A whole number of up to 64 bits, as text.", _big_int),
    StringOrFloat: _scalar("GraphQLStringOrFloat", "A number, or a text that may be read as one.", _string_or_float),
    Void: _scalar("Void", "Nothing at all."),
    PermissionsMe: _scalar("permissions_me_type", "What one may do, by collection and action."),
}
