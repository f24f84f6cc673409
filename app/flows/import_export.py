"""Import and export of all Directus tables as a JSON file, `{table: [row, …]}`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Column, Integer, Table, delete, insert, select, text, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.ecmascript_regex import InvalidRegex, Regex, unwrap
from app.core.errors import OperatorError
from app.db.base import POSTGRESQL, Csv, dump_json
from app.db.database import Database
from app.db.integrity import parse_integrity_error
from app.db.models import DIRECTUS_TABLES
from app.db.seeds import is_pristine
from app.db.table_check import extra_columns
from app.flows.bootstrap import active_admin
from app.flows.import_values import parse_value
from app.repositories.rules.stored_regexes import REGEX_FIELDS
from app.repositories.stores.directus_nodes import COUNT_USER_CHANGE

FileRow = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Called with the current table or step, how many of its items are done, and how many it has."""

TABLES: Mapping[str, Table] = {table.name: table for table in DIRECTUS_TABLES}
SECRET_COLUMNS = {
    "directus_users": {"password", "token", "tfa_secret", "auth_data"},
    "directus_settings": {
        column.name for column in TABLES["directus_settings"].columns if column.name.endswith("_api_key")
    },
}
SECRET_TABLES = {"directus_sessions"}
REGEX_COLUMNS = {field.stored: regexes_in for field, regexes_in in REGEX_FIELDS.items()}
"""Columns that hold regular expressions, each with a function that returns those in its value."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did: the number of rows per table, and whether they replaced those of bootstrap.

    Each of the `warnings` names the table, row and column of a value that was imported although it has no effect.
    """

    rows: Mapping[str, int]
    replaced_bootstrap: bool
    warnings: Sequence[str] = ()


async def import_file(database: Database, file: Path, progress: Progress | None = None) -> ImportResult:
    """Import a file in one transaction.

    Rows with an existing key are updated, others added. If the database holds only what bootstrap created, its admin
    included, the file replaces it. Regular expressions that can't be compiled, which Directus may have stored, are
    imported with a warning: no value matches them.

    Raises:
        OperatorError: The file is invalid; the message names table, row and column. Nothing is changed.
    """
    return await import_rows(database, _read(file), progress)


async def import_rows(
    database: Database, tables: Mapping[str, Any], progress: Progress | None = None, *, replace: bool = True
) -> ImportResult:
    """Import rows as `import_file` does, in the format of a file; without `replace`, bootstrap's rows always stay."""
    rows_by_table = _parse(tables, database.dialect)
    warnings = list(_invalid_regexes(rows_by_table))

    async def work(connection: AsyncConnection) -> ImportResult:
        replaced = replace and await connection.run_sync(is_pristine)
        if replaced:
            for table in reversed(DIRECTUS_TABLES):
                await connection.execute(delete(table))
        for table in DIRECTUS_TABLES:
            await _write_rows(connection, table, rows_by_table.get(table.name, []), progress)
        await connection.execute(COUNT_USER_CHANGE)
        if replaced and not await active_admin(connection):
            raise OperatorError(
                "The rows would replace bootstrap's, but hold no active admin. Add a user with admin access to them."
            )
        return ImportResult({name: len(rows) for name, rows in rows_by_table.items()}, replaced, warnings)

    return await database.run_in_transaction(work)


async def export_file(
    database: Database, file: Path, *, redact: bool = False, progress: Progress | None = None
) -> list[str]:
    """Write all rows of the Directus tables to a file that only its owner can read (mode 0600).

    With `redact`, passwords, tokens, sessions and API keys are left out. Columns that a project added to these tables
    are always left out; they are returned as `table.column`.
    """
    draft = file.with_name(f".{file.name}.{uuid4().hex}")  # an existing file stays until the new one is complete
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        async with database.transaction() as connection:
            omitted = await connection.run_sync(extra_columns)
            tables = [table for table in DIRECTUS_TABLES if not (redact and table.name in SECRET_TABLES)]
            for number, table in enumerate(tables):
                out.write(b"{\n" if number == 0 else b",\n")
                hidden = SECRET_COLUMNS.get(table.name, set()) if redact else set()
                rows = [_to_file_row(table, row, hidden) for row in await _fetch_rows(connection, table)]
                lines = ",\n".join(map(dump_json, rows)).encode()
                out.write(orjson.dumps(table.name) + b": [\n" + lines + b"\n]")
                if progress:
                    progress(table.name, len(rows), len(rows))
            out.write(b"\n}\n")
    draft.replace(file)
    return omitted


def _read(file: Path) -> Mapping[str, Any]:
    try:
        tables = orjson.loads(file.read_bytes())
    except OSError as error:
        raise OperatorError(f"{file} can't be read: {error.strerror}.") from None
    except orjson.JSONDecodeError as error:
        raise OperatorError(f"{file} is not JSON: {error}.") from None
    if not isinstance(tables, dict) or not all(isinstance(rows, list) for rows in tables.values()):
        raise OperatorError(f"{file} must hold one object with a list of rows for each table.")
    return tables


def _parse(tables: Mapping[str, Any], dialect: str) -> dict[str, list[FileRow]]:
    for name in tables:
        if name not in TABLES:
            raise OperatorError(f"{name} can't be imported. The tables that can are {', '.join(sorted(TABLES))}.")
    return {
        name: _check_unique(TABLES[name], [_parse_row(TABLES[name], row, dialect) for row in rows])
        for name, rows in tables.items()
    }


def _parse_row(table: Table, row: Any, dialect: str) -> FileRow:
    key = _key(table).name
    if not isinstance(row, dict) or row.get(key) is None:
        raise OperatorError(f"{table.name}: every row must be an object with its {key}.")
    location = f"{table.name}, row {row[key]}"
    for name in row:
        if name not in table.c:
            raise OperatorError(f"{location}: there is no column {name}.")
    return {name: parse_value(table.c[name], value, f"{location}, {name}", dialect) for name, value in row.items()}


def _invalid_regexes(tables: Mapping[str, Iterable[FileRow]]) -> Iterator[str]:
    """Yield a warning for each value with a regular expression that can't be compiled."""
    for column, regexes_in in REGEX_COLUMNS.items():
        for row in tables.get(column.table.name, ()):
            try:
                for pattern in regexes_in(row[column.name]) if row.get(column.name) else ():
                    Regex(unwrap(pattern))
            except InvalidRegex as error:
                location = f"{column.table.name}, row {row[_key(column.table).name]}, {column.name}"
                yield f"{location}: it contains an invalid regular expression, which matches nothing: {error}."


def _check_unique(table: Table, rows: list[FileRow]) -> list[FileRow]:
    key, seen = _key(table).name, set()
    for row in rows:
        if row[key] in seen:
            raise OperatorError(f"{table.name}: {key} {row[key]} occurs twice.")
        seen.add(row[key])
    return rows


async def _write_rows(
    connection: AsyncConnection, table: Table, rows: list[FileRow], progress: Progress | None
) -> None:
    """Write rows first without their references to the same table, then these: a row may refer to a later one."""
    self_references = {c.name for c in table.c if any(key.column.table is table for key in c.foreign_keys)}
    key = _key(table)
    existing = set((await connection.execute(select(key))).scalars()) if rows else set()
    for number, row in enumerate(rows, 1):
        values = {name: value for name, value in row.items() if name not in self_references}
        statement = update(table).where(key == row[key.name]) if row[key.name] in existing else insert(table)
        await _execute(connection, table, row, statement.values(values))
        if progress:
            progress(table.name, number, len(rows))
    for row in rows:
        references = {name: row[name] for name in self_references & row.keys()}
        if references:
            await _execute(connection, table, row, update(table).where(key == row[key.name]).values(references))
    if connection.dialect.name == POSTGRESQL and rows and isinstance(key.type, Integer):
        sequence = f"pg_get_serial_sequence('{table.name}', '{key.name}')"
        last = f"GREATEST((SELECT max({key.name}) FROM {table.name}), 1, pg_sequence_last_value({sequence}::regclass))"
        await connection.execute(text(f"SELECT setval({sequence}, {last})"))


async def _execute(connection: AsyncConnection, table: Table, row: FileRow, statement: Any) -> None:
    try:
        await connection.execute(statement)
    except (IntegrityError, DataError) as error:
        location = f"{table.name}, row {row[_key(table).name]}"
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


async def _fetch_rows(connection: AsyncConnection, table: Table) -> Iterable[Mapping[Any, Any]]:
    return (await connection.execute(select(table).order_by(_key(table)))).mappings().all()


def _to_file_row(table: Table, row: Mapping[Any, Any], hidden: set[str]) -> FileRow:
    return {f"{column.name}": _to_file_value(column, row[column]) for column in table.c if column.name not in hidden}


def _to_file_value(column: Column[Any], value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return ",".join(value) if isinstance(column.type, Csv) and value is not None else value


def _key(table: Table) -> Column[Any]:
    return next(iter(table.primary_key))
