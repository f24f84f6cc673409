"""Writes the rows of an import, each table after those that its rows must refer to."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Column, Integer, Table, insert, select, text, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.integrity import parse_integrity_error

FileRow = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Called with the current table or step, how many of its items are done, and how many it has."""

DESCRIBED = {"directus_fields": ("collection", "field"), "directus_relations": ("many_collection", "many_field")}
"""The columns that say what a row describes; no two rows describe the same."""


async def write_tables(
    connection: AsyncConnection,
    tables: Mapping[str, Table],
    rows: Mapping[str, list[FileRow]],
    progress: Progress | None = None,
) -> None:
    """Write rows, then their references to rows that are written later: of their own table, or of a later one.

    Raises:
        OperatorError: The database rejects a row; the message names it.
    """
    written: set[str] = set()
    deferred: dict[str, list[str]] = {}
    for table in _in_write_order(tables):
        deferred[table.name] = [
            column.name
            for column in table.c
            if column.nullable and not {key.column.table.name for key in column.foreign_keys} <= written
        ]
        await _write_rows(connection, table, rows.get(table.name, []), deferred[table.name], progress)
        written.add(table.name)
    for name, columns in deferred.items():
        await _write_references(connection, tables[name], rows.get(name, []), columns)


def primary_key(table: Table) -> Column[Any]:
    """Return the only column of a table's primary key."""
    return next(iter(table.primary_key))


async def match_descriptions(connection: AsyncConnection, table: Table, rows: list[FileRow]) -> list[FileRow]:
    """Return rows with the key of the existing row that describes the same, or else with one that is free."""
    names = DESCRIBED.get(table.name)
    if names is None or not rows:
        return rows
    key = primary_key(table)
    existing = {tuple(row[1:]): row[0] for row in await connection.execute(select(key, *(table.c[n] for n in names)))}
    described = {number: what for what, number in existing.items()}
    last = max([*described, *(row[key.name] for row in rows)])
    matched = []
    for row in rows:
        number, what = row[key.name], tuple(row.get(name) for name in names)
        if None not in what and described.get(number, what) != what:
            last += 1
            number = last
        matched.append({**row, key.name: existing.get(what, number)})
    return matched


def _in_write_order(tables: Mapping[str, Table]) -> list[Table]:
    """Return the tables in order, but each after those that its rows can't be without."""
    ordered: list[Table] = []
    seen: set[str] = set()

    def visit(table: Table) -> None:
        if table.name in seen:
            return
        seen.add(table.name)
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
            if not key.parent.nullable:
                visit(tables[key.column.table.name])
        ordered.append(table)

    for table in tables.values():
        visit(table)
    return ordered


async def _write_rows(
    connection: AsyncConnection, table: Table, rows: list[FileRow], deferred: Iterable[str], progress: Progress | None
) -> None:
    key = primary_key(table)
    existing = set((await connection.execute(select(key))).scalars()) if rows else set()
    for number, row in enumerate(rows, 1):
        values = {name: value for name, value in row.items() if name not in deferred}
        statement = update(table).where(key == row[key.name]) if row[key.name] in existing else insert(table)
        await _execute(connection, table, row, statement.values(values))
        if progress:
            progress(table.name, number, len(rows))
    if connection.dialect.name == POSTGRESQL and rows and isinstance(key.type, Integer):
        sequence = f"pg_get_serial_sequence('{table.name}', '{key.name}')"
        last = f"GREATEST((SELECT max({key.name}) FROM {table.name}), 1, pg_sequence_last_value({sequence}::regclass))"
        await connection.execute(text(f"SELECT setval({sequence}, {last})"))


async def _write_references(
    connection: AsyncConnection, table: Table, rows: list[FileRow], columns: Iterable[str]
) -> None:
    key = primary_key(table)
    for row in rows:
        references = {name: row[name] for name in columns if name in row}
        if references:
            await _execute(connection, table, row, update(table).where(key == row[key.name]).values(references))


async def _execute(connection: AsyncConnection, table: Table, row: FileRow, statement: Any) -> None:
    try:
        await connection.execute(statement)
    except (IntegrityError, DataError) as error:
        location = f"{table.name}, row {row[primary_key(table).name]}"
        raise OperatorError(f"{location}{await _violated_column(connection, table, row, error)}.") from None


async def _violated_column(connection: AsyncConnection, table: Table, row: FileRow, error: DBAPIError) -> str:
    """Return the column that violates a constraint and why, as the rest of a message, as far as it is known."""
    violation = parse_integrity_error(error)
    column = violation.column or await _dangling_reference(connection, table, row)
    reasons = {
        "unique": "another row has the same value, which must be unique",
        "null": "the value is missing, the column requires one",
        "foreign": "the row it refers to doesn't exist",
    }
    reason = reasons.get(violation.kind, "the database rejects the row")
    return f", {column}: {reason}" if column else f": {reason}"


async def _dangling_reference(connection: AsyncConnection, table: Table, row: FileRow) -> str:
    """Return the column of a row that refers to no row; SQLite does not name it, but its transaction goes on."""
    if connection.dialect.name == POSTGRESQL:
        return ""
    for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
        value = row.get(key.parent.name)
        if value is not None and not (await connection.execute(select(key.column).where(key.column == value))).first():
            return str(key.parent.name)
    return ""
