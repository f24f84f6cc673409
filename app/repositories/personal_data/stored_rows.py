"""Rows of any table as JSON values, with the columns that the database itself lists."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, Text, column, literal, or_, select, table, text, type_coerce

from app.core.timestamps import format_timestamp
from app.db.base import Base, UUIDText
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction

SECRET_PARTS = ("password", "token", "secret", "hash", "auth_data")
"""Parts of the names of columns whose values sign in as a user, or prove who a user is."""
_COLUMNS = {
    True: text("""
SELECT column_name, is_nullable = 'YES', data_type IN ('text', 'character varying', 'character')
FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = :name AND is_generated = 'NEVER' ORDER BY ordinal_position
""").bindparams(bind_param("name", Text())),
    False: text("""
SELECT name, NOT "notnull", lower(type) LIKE '%char%' OR lower(type) LIKE '%text%' FROM pragma_table_info(:name)
""").bindparams(bind_param("name", Text())),
}
"""By whether the database is PostgreSQL."""


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column as the database lists it."""

    name: str
    nullable: bool
    is_text: bool


async def read_columns(writer: WriteTransaction, name: str) -> list[StoredColumn]:
    """Return the columns of a table in their order, without generated ones; none if there is no such table."""
    rows: Iterable[Any] = await writer.execute(_COLUMNS[writer.postgresql], {"name": name})
    return [StoredColumn(column_name, bool(nullable), bool(is_text)) for column_name, nullable, is_text in rows]


async def read_rows(
    writer: WriteTransaction,
    name: str,
    where: Callable[[FromClause], ColumnElement[bool]],
    *,
    known: Table | None = None,
    hidden: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Return the rows of a table that meet a condition, by key, as JSON values.

    Columns of secrets and `hidden` ones are left out. `known` has the types of columns, by default those of the models.
    """
    types = _column_types(Base.metadata.tables.get(name) if known is None else known)
    omitted = set(hidden)
    columns = [one.name for one in await read_columns(writer, name)]
    source = table(name, *(column(each, types.get(each)) for each in columns))
    shown = [source.c[each] for each in columns if each not in omitted and not is_secret(each)]
    records = await writer.rows(writer.prepare(select(*shown).where(where(source))))
    rows = [{str(key.name): json_value(value) for key, value in zip(shown, row, strict=True)} for row in records]
    return sorted(rows, key=lambda row: [str(value) for value in row.values()][:1])


def is_secret(name: str) -> bool:
    """Return whether a column of this name may hold a secret."""
    return any(part in name.lower() for part in SECRET_PARTS)


def json_value(value: Any) -> Any:
    """Return a value as JSON has it: times in UTC, and what JSON has no type for as text."""
    if isinstance(value, datetime):
        return format_timestamp(value)
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


def _column_types(known: Table | None) -> Mapping[str, Any]:
    return {} if known is None else {each.name: each.type for each in known.columns}


def refers_to(user: str, *columns: str) -> Callable[[FromClause], ColumnElement[bool]]:
    """Return the condition that one of the columns holds the id of a user."""

    def condition(source: FromClause) -> ColumnElement[bool]:
        return or_(*(type_coerce(source.c[name], UUIDText()) == literal(user, UUIDText()) for name in columns))

    return condition
