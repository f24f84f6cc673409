"""Values of fields as the texts of form controls, and back."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from app.studio.form_errors import Translate
from app.studio.pages.tools.row_reference import reference_text
from app.studio.pages.users.user_fields import RELATION, UserField

BOOLEANS = {"true": True, "false": False}
MAX_DIGITS = 20
"""Digits of a whole number that is worth sending; no field stores more."""
UNTRIMMED = ("password", "multiline")


class ValueRejected(ValueError):
    """The text of a control is no value of its field; the message says what would be."""


def control_text(field: UserField, value: Any) -> str:
    """Return a stored value as the text of its control."""
    if value is None:
        return ""
    if field.kind == RELATION:
        return reference_text(field.target, value)
    return _FORMATS.get(field.kind, str)(value)


def control_value(field: UserField, text: str, translate: Translate) -> Any:
    """Return the value of a control's text, None if it is empty, as a GraphQL variable.

    Raises:
        ValueRejected: The text is no value of the field.
    """
    text = text if field.kind in UNTRIMMED else text.strip()
    if not text:
        return None
    parse = _PARSERS.get(field.kind)
    return parse(text, translate) if parse else text


def _list_text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else orjson.dumps(value).decode()


def _time_text(value: Any) -> str:
    return str(value).partition(".")[0].removesuffix("Z")


def _role_text(value: Any) -> str:
    return str(value.get("id") or "") if isinstance(value, dict) else str(value)


def _whole_number(text: str, translate: Translate) -> int:
    digits = text.removeprefix("-")
    if not digits.isdecimal() or len(digits) > MAX_DIGITS:
        raise ValueRejected(translate("Enter a whole number."))
    return int(text)


def _number(text: str, translate: Translate) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueRejected(translate("Enter a number.")) from None


def _json(text: str, translate: Translate) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        message = translate("This is not valid JSON: line {line}, column {column}.")
        raise ValueRejected(message.format(line=error.lineno, column=error.colno)) from None


def _list(text: str, _: Translate) -> list[str]:
    return [part for each in text.split(",") if (part := each.strip())]


_FORMATS: Mapping[str, Callable[[Any], str]] = {
    "boolean": lambda value: "true" if value else "false",
    "json": lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2).decode(),
    "csv": _list_text,
    "tags": _list_text,
    "timestamp": _time_text,
    "dateTime": _time_text,
    "role": _role_text,
}
_PARSERS: Mapping[str, Callable[[str, Translate], Any]] = {
    "boolean": lambda text, _: BOOLEANS.get(text),
    "integer": _whole_number,
    "bigInteger": _whole_number,
    "float": _number,
    "decimal": _number,
    "json": _json,
    "csv": _list,
    "tags": _list,
    "timestamp": lambda text, _: text if text.endswith("Z") else f"{text}Z",
    "role": lambda text, _: {"id": text},
    RELATION: lambda text, _: {"id": text},
}
