"""The payloads with which fields are created and changed, checked before anything is written."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Column, Integer

from app.core.errors import InvalidPayload
from app.core.json_values import MAX_STORED_JSON_DEPTH, normalized_json
from app.core.values import is_storable
from app.db.base import Csv, JsonText
from app.repositories.system.field_types import (
    ALIAS,
    DEFAULT_LENGTH,
    DEFAULT_PRECISION,
    DEFAULT_SCALE,
    MAX_LENGTH,
    MAX_PRECISION,
    TYPES,
    FieldType,
)
from app.repositories.system.rows import FIELD_ROWS
from app.repositories.system.specials import parse_special

MAX_NAME_LENGTH = 63
"""The longest name of a column on PostgreSQL."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RESERVED_NAMES = frozenset({"ctid", "cmin", "cmax", "xmin", "xmax", "tableoid", "oid", "rowid"})
"""Names that a database has its own columns under."""
FUNCTION_SUFFIX = "_func"
"""The end of the names of functions in GraphQL."""
PAYLOAD_NAMES = ("collection", "field", "type", "meta", "schema")
IGNORED_META = frozenset({"id", "collection", "field", "system"})
"""Parts of the meta that clients send back, but that cannot be changed."""
COLUMN_FLAGS = ("is_nullable", "is_unique", "is_indexed")
IGNORED_COLUMN_PARTS = frozenset(
    {
        "name",
        "table",
        "data_type",
        "comment",
        "is_generated",
        "generation_expression",
        "foreign_key_schema",
        "foreign_key_table",
        "foreign_key_column",
    }
)
"""Parts of the schema that follow from others, or that are not supported."""
FORBIDDEN_COLUMN_PARTS = ("is_primary_key", "has_auto_increment")


@dataclass(frozen=True, slots=True)
class FieldPayload:
    """What a payload says about a field; `type` is None if it doesn't say, and so is each part that it leaves out."""

    name: str | None
    type: str | None
    meta: Mapping[str, Any] | None
    column: Mapping[str, Any] | None

    @classmethod
    def parse(cls, values: Any) -> "FieldPayload":
        """Return a checked payload.

        Raises:
            InvalidPayload: It isn't an object of known parts, or a value has another type than its part.
        """
        values = check_object(values, "value")
        check_names(values, PAYLOAD_NAMES, "")
        name, type_ = values.get("field"), values.get("type")
        if name is not None and not isinstance(name, str):
            raise InvalidPayload('"field" must be a string')
        if type_ is not None and (not isinstance(type_, str) or type_ not in (*TYPES, ALIAS)):
            raise InvalidPayload(f'"type" must be one of [{", ".join((*TYPES, ALIAS))}]')
        meta, column = values.get("meta"), values.get("schema")
        return cls(
            name,
            type_,
            None if meta is None else _parse_meta(check_object(meta, "meta")),
            None if column is None else _parse_column(check_object(column, "schema")),
        )

    @property
    def required_name(self) -> str:
        """The name of the field.

        Raises:
            InvalidPayload: It is missing, or no field can have it.
        """
        if self.name is None:
            raise InvalidPayload('"field" is required')
        check_name(self.name)
        return self.name


def check_name(name: str) -> None:
    """Raise InvalidPayload if no field can have a name."""
    if not name:
        raise InvalidPayload('"field" is not allowed to be empty')
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidPayload(f'"field" must have at most {MAX_NAME_LENGTH} characters')
    if not NAME.fullmatch(name):
        raise InvalidPayload('"field" must begin with a letter and contain only letters, digits and underscores')
    if name.lower() in RESERVED_NAMES or name.endswith(FUNCTION_SUFFIX):
        raise InvalidPayload(f'"{name}" is reserved: choose another name')


def check_object(value: Any, name: str) -> dict[str, Any]:
    """Return a value that must be an object."""
    if not isinstance(value, dict):
        raise InvalidPayload(f'"{name}" must be of type object')
    return value


def check_names(values: Iterable[str], known: Iterable[str], prefix: str) -> None:
    """Raise InvalidPayload for the first name that is not known."""
    unknown = next((name for name in values if name not in known), None)
    if unknown is not None:
        raise InvalidPayload(f'"{prefix}{unknown}" is not allowed')


def check_meta_value(column: Column[Any], value: Any, name: str) -> Any:
    """Return a value of a row that describes the schema, as its column stores it.

    Raises:
        InvalidPayload: It has another type, or is too long.
    """
    if value is None:
        if not column.nullable:
            raise InvalidPayload(f'"{name}" must not be null')
        return None
    if isinstance(column.type, JsonText):
        return _json(value, name)
    expected, is_valid = _expectation(column)
    if not is_valid(value):
        raise InvalidPayload(f'"{name}" must be {expected}')
    return value


def column_options(type_: FieldType, column: Mapping[str, Any]) -> dict[str, int]:
    """Return the length and the digits of a column, those that the payload leaves out being the usual ones.

    Raises:
        InvalidPayload: One is out of range.
    """
    length = _count(column.get("max_length"), "max_length", 1, MAX_LENGTH, DEFAULT_LENGTH)
    precision = _count(column.get("numeric_precision"), "numeric_precision", 1, MAX_PRECISION, DEFAULT_PRECISION)
    scale = _count(column.get("numeric_scale"), "numeric_scale", 0, precision, min(DEFAULT_SCALE, precision))
    return {"length": length, "precision": precision, "scale": scale}


def _parse_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    parsed = {}
    for name, value in meta.items():
        if name in IGNORED_META:
            continue
        if name not in FIELD_ROWS.c:
            raise InvalidPayload(f'"meta.{name}" is not allowed')
        is_special = name == "special"
        parsed[name] = (
            parse_special(value) if is_special else check_meta_value(FIELD_ROWS.c[name], value, f"meta.{name}")
        )
    return parsed


def _parse_column(column: Mapping[str, Any]) -> dict[str, Any]:
    known = {"default_value", "max_length", "numeric_precision", "numeric_scale", *COLUMN_FLAGS}
    check_names(column, known | IGNORED_COLUMN_PARTS | set(FORBIDDEN_COLUMN_PARTS), "schema.")
    for name in FORBIDDEN_COLUMN_PARTS:
        if column.get(name):
            raise InvalidPayload(f'"schema.{name}" is not allowed: a collection has one key')
    for name in COLUMN_FLAGS:
        if not isinstance(column.get(name), bool | None):
            raise InvalidPayload(f'"schema.{name}" must be a boolean')
    return {name: value for name, value in column.items() if name in known}


def _count(value: Any, name: str, least: int, most: int, otherwise: int) -> int:
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidPayload(f'"schema.{name}" must be a number from {least} to {most}')
    return value


def _json(value: Any, name: str) -> Any:
    try:
        return normalized_json(value, MAX_STORED_JSON_DEPTH)
    except ValueError:
        raise InvalidPayload(
            f'"{name}" must be JSON of at most {MAX_STORED_JSON_DEPTH} levels, without U+0000'
        ) from None


def _expectation(column: Column[Any]) -> tuple[str, Callable[[Any], bool]]:
    """Return what a column holds, in words and as a check."""
    if isinstance(column.type, Boolean):
        return "a boolean", lambda value: isinstance(value, bool)
    if isinstance(column.type, Integer):
        return "a number", lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
    if isinstance(column.type, Csv):
        return "a list of strings", lambda value: isinstance(value, list) and all(map(_is_word, value))
    length = getattr(column.type, "length", None)
    words = f"a string of at most {length} characters" if length else "a string"
    return words, lambda value: isinstance(value, str) and is_storable(value) and len(value) <= (length or len(value))


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and is_storable(value) and "," not in value
