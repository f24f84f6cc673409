"""The types of fields: how each is stored on both databases, and which type an existing column has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.core.values import KEY_LENGTH
from app.db.base import POSTGRESQL

DEFAULT_LENGTH, MAX_LENGTH = 255, 10_485_760
"""The length of a `string` that gives none, and the largest that PostgreSQL accepts."""
DEFAULT_PRECISION, DEFAULT_SCALE, MAX_PRECISION = 10, 5, 1000
"""The digits of a `decimal` that gives none, in all and after the point, and the most that PostgreSQL accepts."""


@dataclass(frozen=True, slots=True)
class FieldType:
    """A type of fields: its columns' type on each database, and the special that marks such a field, if any does.

    `group` is shared by types between which existing values can be converted.
    """

    name: str
    postgresql: str
    sqlite: str
    special: str | None = None
    group: str | None = None

    def column_type(self, dialect: str, options: Mapping[str, int]) -> str:
        """Return the type of a column in SQL, with its length or its digits."""
        return (self.postgresql if dialect == POSTGRESQL else self.sqlite).format(**options)


TYPES: Mapping[str, FieldType] = {
    type_.name: type_
    for type_ in (
        FieldType("string", "varchar({length})", "VARCHAR({length})", group="text"),
        FieldType("text", "text", "TEXT", group="text"),
        FieldType("integer", "integer", "INTEGER", group="number"),
        FieldType("bigInteger", "bigint", "BIGINT", group="number"),
        FieldType("float", "real", "FLOAT"),
        FieldType("decimal", "numeric({precision},{scale})", "NUMERIC({precision},{scale})", group="number"),
        FieldType("boolean", "boolean", "BOOLEAN"),
        # SQLite would turn the JSON text of a number into a number in a column of any other type
        FieldType("json", "json", "TEXT", "cast-json"),
        FieldType("csv", "text", "TEXT", "cast-csv"),
        FieldType("uuid", "uuid", f"CHAR({KEY_LENGTH})"),
        FieldType("date", "date", "DATE"),
        FieldType("time", "time", "TIME"),
        FieldType("dateTime", "timestamp", "DATETIME"),
        FieldType("timestamp", "timestamptz", "TIMESTAMP"),
        FieldType("hash", "varchar({length})", "VARCHAR({length})", "hash"),
    )
}
ALIAS = "alias"
"""The type of a field without a column."""

_STORED: Mapping[str, str] = {
    "character varying": "string",
    "varchar": "string",
    "character": "string",
    "char": "string",
    "int": "integer",
    "bigint": "bigInteger",
    "real": "float",
    "double precision": "float",
    "numeric": "decimal",
    "jsonb": "json",
    "time without time zone": "time",
    "datetime": "dateTime",
    "timestamp without time zone": "dateTime",
    "timestamp with time zone": "timestamp",
}
_OF_SPECIAL: Mapping[str, str] = {
    "hash": "hash",
    "cast-csv": "csv",
    "cast-json": "json",
    "cast-timestamp": "timestamp",
}


def stored_type(column: Mapping[str, Any], special: Iterable[str]) -> str:
    """Return the type of the field of an existing column, or the name of the column's own type if no field has it."""
    for name in special:
        if name in _OF_SPECIAL:
            return _OF_SPECIAL[name]
    if column["data_type"] in ("char", "character") and column["max_length"] == KEY_LENGTH:
        return "uuid"
    return _STORED.get(column["data_type"], column["data_type"])
