"""Custom columns as an export describes them, with the same words for both kinds of databases."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from app.core.errors import InvalidPayload, OperatorError
from app.db.base import POSTGRESQL
from app.db.models import DIRECTUS_TABLES
from app.query.collection import BUILT_IN
from app.query.custom_fields import CUSTOMIZABLE
from app.repositories.system.ddl import ColumnDefinition, ColumnReference
from app.repositories.system.default_values import default_literal
from app.repositories.system.field_types import (
    DEFAULT_LENGTH,
    DEFAULT_PRECISION,
    DEFAULT_SCALE,
    MAX_LENGTH,
    MAX_PRECISION,
    TYPES,
    FieldType,
)

STORAGE_TYPES: Mapping[str, FieldType] = {
    **{name: type_ for name, type_ in TYPES.items() if name != "hash"},  # a hash is stored as a string
    "double": FieldType("double", "double precision", "DOUBLE"),
}
TEXTS = {"string", "text"}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
ON_DELETE = ("NO ACTION", "RESTRICT", "SET NULL", "SET DEFAULT", "CASCADE")
TABLE_NAMES = frozenset(table.name for table in DIRECTUS_TABLES)
CURRENT = "CURRENT_TIMESTAMP"
SQLITE_NOW = {
    "date": "%Y-%m-%d",
    "time": "%H:%M:%S",
    "dateTime": "%Y-%m-%dT%H:%M:%S",
    "timestamp": "%Y-%m-%dT%H:%M:%f000Z",
}
"""The format of the current time for each type that may have it as its default, which is `CURRENT`."""


def _is_count(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_VALID: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "table": (lambda value: value in CUSTOMIZABLE, f"one of {', '.join(sorted(CUSTOMIZABLE))}"),
    "column": (lambda value: isinstance(value, str) and bool(NAME.fullmatch(value)), "a name such as badge_number"),
    "type": (lambda value: value in STORAGE_TYPES, f"one of {', '.join(STORAGE_TYPES)}"),
    "length": (_is_count(1, MAX_LENGTH), f"an integer from 1 to {MAX_LENGTH}"),
    "precision": (_is_count(1, MAX_PRECISION), f"an integer from 1 to {MAX_PRECISION}"),
    "scale": (_is_count(0, MAX_PRECISION), f"an integer from 0 to {MAX_PRECISION}"),
    "nullable": (_is_flag, "true or false"),
    "default": (lambda _: True, "a value"),
    "unique": (_is_flag, "true or false"),
    "indexed": (_is_flag, "true or false"),
    "references": (lambda value: value in TABLE_NAMES, "the name of a Directus table"),
    "on_delete": (lambda value: value in ON_DELETE, f"one of {', '.join(ON_DELETE)}"),
}


@dataclass(frozen=True, slots=True)
class PortableColumn:
    """A custom column of a Directus table, described without the words of one database."""

    table: str
    column: str
    type: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    nullable: bool = True
    default: Any = None
    unique: bool = False
    indexed: bool = False
    references: str | None = None
    on_delete: str | None = None

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"

    @classmethod
    def parse(cls, entry: Any) -> Self:
        """Return the column that an entry of a file describes.

        Raises:
            OperatorError: The entry is invalid; the message says what would be right.
        """
        if not isinstance(entry, dict) or not {"table", "column", "type"} <= entry.keys():
            raise OperatorError("columns: every entry must be an object with table, column and type.")
        location = f"columns, {entry['table']}.{entry['column']}"
        for name, value in entry.items():
            if name not in _VALID:
                raise OperatorError(f"{location}: there is no property {name}.")
            is_valid, expected = _VALID[name]
            if not is_valid(value):
                raise OperatorError(f"{location}, {name}: must be {expected}.")
        if entry["column"] in BUILT_IN[entry["table"]].table.c:
            raise OperatorError(f"{location}: Directus has a column of this name itself.")
        return cls(**entry)

    def to_entry(self) -> dict[str, Any]:
        """Return the entry of a file, without the properties that most columns lack."""
        absent = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != absent[name]}

    def definition(self, dialect: str) -> ColumnDefinition:
        """Return the definition of the column in a database of this kind.

        Raises:
            OperatorError: The default does not fit the type.
        """
        named = ColumnDefinition(self.table, self.column, "")
        reference = ColumnReference(self.references, self.on_delete or "NO ACTION") if self.references else None
        return ColumnDefinition(
            self.table,
            self.column,
            STORAGE_TYPES[self.type].column_type(dialect, self.sizes()),
            self.nullable,
            self._default_literal(dialect),
            named.unique_name() if self.unique else None,
            named.index_name() if self.indexed else None,
            reference,
        )

    def fits(self, existing: "PortableColumn") -> bool:
        """Return whether an existing column holds the same values; the lengths of texts are checked for each value."""
        if self.type == existing.type == "decimal":
            own, other = self.sizes(), existing.sizes()
            before = other["precision"] - other["scale"] >= own["precision"] - own["scale"]
            return before and other["scale"] >= own["scale"]
        return self.type == existing.type or {self.type, existing.type} <= TEXTS

    def describe_type(self) -> str:
        """Return the type with its digits, as in `decimal(12,2)`."""
        return "decimal({precision},{scale})".format(**self.sizes()) if self.type == "decimal" else self.type

    def sizes(self) -> dict[str, int]:
        """Return the length and the digits of the type, where the description has none those of Directus."""
        precision = DEFAULT_PRECISION if self.precision is None else self.precision
        scale = DEFAULT_SCALE if self.scale is None else self.scale
        return {"length": self.length or DEFAULT_LENGTH, "precision": precision, "scale": scale}

    def _default_literal(self, dialect: str) -> str:
        if self.default == CURRENT and self.type in SQLITE_NOW:
            return CURRENT if dialect == POSTGRESQL else f"(strftime('{SQLITE_NOW[self.type]}', 'now'))"
        try:
            return storage_default(self.type, self.default, dialect)
        except InvalidPayload:
            raise OperatorError(f"columns, {self}, default: the value does not fit the type {self.type}.") from None


def storage_default(type_: str, default: Any, dialect: str) -> str:
    """Return the default of a storage type as a literal in SQL.

    Raises:
        InvalidPayload: The value does not fit the type.
    """
    return default_literal("float" if type_ == "double" else type_, default, dialect)
