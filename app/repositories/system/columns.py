"""The columns of tables as the system API describes them, from what the database says about them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.repositories.system.column_queries import COLUMN_PARTS, INDEX_PARTS, KEY_PARTS

ColumnKey = tuple[str, str]
"""A table and the name of a column."""

_CAST = re.compile(r"::[\w \".]+(\(\d+(,\d+)?\))?(\[\])?$")
_SQLITE_TYPE = re.compile(r"([a-z ]+?)\s*(?:\((\d+)(?:,\s*(\d+))?\))?")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_NOW = {"now()", "current_timestamp"}


@dataclass(frozen=True, slots=True)
class ColumnCatalog:
    """The described columns of the served tables, and their foreign keys."""

    columns: Mapping[ColumnKey, Mapping[str, Any]]
    """The `schema` of each column, as a field of the system API has it."""
    keys: Mapping[ColumnKey, Mapping[str, Any]]
    """The `schema` of each foreign key, as a relation of the system API has it."""
    indexes: Mapping[ColumnKey, Mapping[bool, str]]
    """The names of the indexes of each column, by whether they are unique."""

    @classmethod
    def parse(cls, text: str) -> "ColumnCatalog":
        """Return the catalog that a query of `columns_query` yields."""
        found = orjson.loads(text)
        keys = {(key["table"], key["column"]): key for key in _named(KEY_PARTS, found["keys"])}
        indexes: dict[ColumnKey, list[dict[str, Any]]] = {}
        for index in _named(INDEX_PARTS, found["indexes"]):
            indexes.setdefault((index["table"], index["column"]), []).append(index)
        for table, name in found.get("primary", ()):
            indexes.setdefault((table, name), []).append({"name": None, "unique": True, "primary": True})
        columns = {}
        for part in _named(COLUMN_PARTS, found["columns"]):
            key = (part["table"], part["name"])
            columns[key] = _column_schema(part, keys.get(key), indexes.get(key, []))
        names = {key: {index["unique"]: index["name"] for index in found} for key, found in indexes.items()}
        return cls(columns, {key: _relation_schema(value) for key, value in keys.items()}, names)


def _named(names: tuple[str, ...], rows: Iterable[list[Any]]) -> Iterable[dict[str, Any]]:
    return (dict(zip(names, row, strict=True)) for row in rows)


def _column_schema(part: Mapping[str, Any], key: Mapping[str, Any] | None, indexes: list[dict[str, Any]]) -> Any:
    data_type, length, precision, scale = _type_parts(part)
    default = parse_default(part["default"], data_type)
    is_primary = any(index["primary"] for index in indexes)
    return {
        "name": part["name"],
        "table": part["table"],
        "data_type": data_type,
        "default_value": default,
        "max_length": length,
        "numeric_precision": precision,
        "numeric_scale": scale,
        "is_generated": part["generation_expression"] is not None,
        "generation_expression": part["generation_expression"],
        "is_nullable": part["nullable"] and not is_primary,
        "is_unique": any(index["unique"] for index in indexes),
        "is_indexed": any(not index["unique"] for index in indexes),
        "is_primary_key": is_primary,
        "has_auto_increment": is_primary and data_type == "integer",
        "foreign_key_schema": key["schema"] if key else None,
        "foreign_key_table": key["target"] if key else None,
        "foreign_key_column": key["target_column"] if key else None,
        "comment": part["comment"],
    }


def _relation_schema(key: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "constraint_name": key["constraint"],
        "table": key["table"],
        "column": key["column"],
        "foreign_key_schema": key["schema"],
        "foreign_key_table": key["target"],
        "foreign_key_column": key["target_column"],
        "on_update": key["on_update"],
        "on_delete": key["on_delete"],
    }


def _type_parts(part: Mapping[str, Any]) -> tuple[str, int | None, int | None, int | None]:
    """Return the name of a type with its length, precision and scale; SQLite has them in one text."""
    stored = part["data_type"]
    match = _SQLITE_TYPE.fullmatch(stored)
    if match is None or match[2] is None:
        return stored, part["max_length"], part["numeric_precision"], part["numeric_scale"]
    first, second = int(match[2]), int(match[3]) if match[3] else None
    is_number = match[1] in ("numeric", "decimal")
    return match[1], None if is_number else first, first if is_number else None, second


def parse_default(text: str | None, data_type: str) -> Any:
    """Return the default of a column as a value: a number or a flag if its type is one, else a text."""
    if text is None:
        return None
    bare = _CAST.sub("", text)
    if bare.upper() == "NULL":
        return None
    if bare.lower() in _NOW or bare.startswith("strftime("):
        return "CURRENT_TIMESTAMP"
    value = bare[1:-1].replace("''", "'") if bare.startswith("'") and bare.endswith("'") else bare
    if data_type == "boolean":
        return value.lower() in ("true", "1")
    if "char" in data_type or data_type in ("text", "uuid", "json") or not _NUMBER.fullmatch(value):
        return text if bare.startswith("nextval(") else value
    return float(value) if "." in value else int(value)
