"""The scalars of Directus' schema that GraphQL doesn't have by itself."""

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


MOST_DIGITS = 19
"""Of a whole number of 64 bits."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"String cannot represent a non string value: {value!r}")
    return value


def _whole(value: Any) -> int | str:
    """A number, or its digits in a text: beyond 53 bits JavaScript has no number to send."""
    digits = str(value).removeprefix("-") if isinstance(value, int | str) else ""
    if isinstance(value, bool) or not digits.isdecimal() or len(digits) > MOST_DIGITS:
        raise GraphQLError(f"GraphQLBigInt cannot represent a non-integer value: {value!r}")
    return int(value)


def _text_or_number(value: Any) -> str | int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise GraphQLError(f"GraphQLStringOrFloat cannot represent a value that is no text and no number: {value!r}")
    return value


def _same(value: Any) -> Any:
    return value


def _scalar(name: str, description: str, parse: Any = _same) -> ScalarDefinition:
    return strawberry.scalar(name=name, description=description, serialize=_same, parse_value=parse)


SCALARS: dict[object, ScalarDefinition] = {
    Hash: _scalar("Hash", "A value that was hashed, or is kept secret: it reads as asterisks.", _text),
    Date: _scalar("Date", "A moment in UTC, such as 2024-01-15T10:30:45.000Z.", _text),
    Json: _scalar("JSON", "Any JSON value."),
    BigInt: _scalar("GraphQLBigInt", "A whole number of up to 64 bits.", _whole),
    StringOrFloat: _scalar("GraphQLStringOrFloat", "A number, or a text that may be read as one.", _text_or_number),
    Void: _scalar("Void", "Nothing at all."),
    PermissionsMe: _scalar("permissions_me_type", "What one may do, by collection and action."),
}
