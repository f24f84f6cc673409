"""Import and export of all Directus tables as a JSON file, `{table: [row, …]}`.

A file with custom fields also has `columns`, which says what columns its rows need beyond those of Directus.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.ecmascript_regex import InvalidRegex, Regex, unwrap
from app.core.errors import OperatorError
from app.db.base import dump_json
from app.db.database import Database
from app.db.models import ACCESS_EXPIRY, DIRECTUS_TABLES, SCHEMA_TABLES
from app.db.seeds import is_pristine
from app.flows.bootstrap import active_admin
from app.flows.column_import import add_foreign_keys, add_missing_columns, check_columns
from app.flows.existing_columns import custom_columns, describe_columns
from app.flows.import_values import file_value, parse_value
from app.flows.import_writes import FileRow, Progress, match_descriptions, primary_key, write_tables
from app.flows.portable_columns import PortableColumn
from app.query.collection import Registry
from app.query.custom_fields import CUSTOMIZABLE
from app.repositories.rules.stored_regexes import REGEX_FIELDS
from app.repositories.schema.registry_loader import read_registry
from app.repositories.stores.directus_nodes import COUNT_USER_CHANGE

TABLES: Mapping[str, Table] = {table.name: table for table in (*DIRECTUS_TABLES, ACCESS_EXPIRY)}
"""The tables that a file holds: Directus' own, and what Rollcall adds to their rows."""
SECRET_COLUMNS = {
    "directus_users": {"password", "token", "tfa_secret", "auth_data"},
    "directus_settings": {
        column.name for column in TABLES["directus_settings"].columns if column.name.endswith("_api_key")
    },
}
SECRET_TABLES = {"directus_sessions"}
COLUMNS = "columns"
"""The key of a file that holds the descriptions of custom columns."""
REGEX_COLUMNS = {field.stored: regexes_in for field, regexes_in in REGEX_FIELDS.items()}
"""Columns that hold regular expressions, each with a function that returns those in its value."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did: the number of rows per table, and whether they replaced those of bootstrap.

    `added_columns` are the custom columns that the database lacked, as `table.column`. Each of the `warnings`
    names the table, row and column of a value that was imported although it has no effect.
    """

    rows: Mapping[str, int]
    replaced_bootstrap: bool
    warnings: Sequence[str] = ()
    added_columns: Sequence[str] = ()


async def import_file(
    database: Database, file: Path, progress: Progress | None = None, *, replace: bool = True
) -> ImportResult:
    """Import a file in one transaction.

    Rows with an existing key are updated, others added; rows that describe the same field or relation are the same row.
    Custom columns that the database lacks are added. If the database holds only what bootstrap created, its admin
    included, the file replaces it, unless `replace` is false. Regular expressions that can't be compiled, which
    Directus may have stored, are imported with a warning: no value matches them.

    Raises:
        OperatorError: The file is invalid; the message names table, row and column. Nothing is changed.
    """
    return await import_rows(database, _read(file), progress, replace=replace)


async def import_rows(
    database: Database, tables: Mapping[str, Any], progress: Progress | None = None, *, replace: bool = True
) -> ImportResult:
    """Import rows as `import_file` does, in the format of a file; without `replace`, bootstrap's rows always stay."""
    columns = [PortableColumn.parse(entry) for entry in tables.get(COLUMNS, ())]
    _check_names(tables)

    async def work(connection: AsyncConnection) -> ImportResult:
        replaced = replace and await connection.run_sync(is_pristine)
        if replaced:
            for table in reversed(DIRECTUS_TABLES):
                await connection.execute(delete(table))
        added = await add_missing_columns(connection, columns)
        known = await _write_descriptions(connection, tables)
        await check_columns(connection, known, columns)
        await add_foreign_keys(connection, known)
        own_tables = _tables(known)
        rows = _parse(tables, {name: own_tables[name] for name in own_tables if name not in SCHEMA_TABLES}, connection)
        await write_tables(connection, own_tables, rows, progress)
        await connection.execute(COUNT_USER_CHANGE)
        if replaced and not await active_admin(connection):
            raise OperatorError(
                "The rows would replace bootstrap's, but hold no active admin. Add a user with admin access to them."
            )
        counts = {name: len(found) for name, found in tables.items() if name != COLUMNS}
        return ImportResult(counts, replaced, list(_invalid_regexes(rows)), [str(column) for column in added])

    return await database.run_in_transaction(work)


async def _write_descriptions(connection: AsyncConnection, tables: Mapping[str, Any]) -> Registry:
    """Write the rows that describe collections, fields and relations, and return the registry that they make."""
    described = {name: TABLES[name] for name in SCHEMA_TABLES}
    rows = _parse(tables, described, connection)
    matched = {name: await match_descriptions(connection, TABLES[name], found) for name, found in rows.items()}
    await write_tables(connection, described, matched)
    return await read_registry(connection)


def _tables(registry: Registry) -> dict[str, Table]:
    """Return Directus' tables with their custom columns."""
    return {name: registry[name].table if name in CUSTOMIZABLE else table for name, table in TABLES.items()}


async def export_file(
    database: Database, file: Path, *, redact: bool = False, progress: Progress | None = None
) -> list[str]:
    """Write all rows of the directory to a file that only its owner can read (mode 0600).

    With `redact`, passwords, tokens, sessions, API keys and concealed custom fields are left out. What a project added
    to these tables and no export can contain is always left out, and returned as `table.column`: columns that nothing
    describes or whose type is unknown, and defaults that only one kind of database has.
    """
    draft = file.with_name(f".{file.name}.{uuid4().hex}")  # an existing file stays until the new one is complete
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        async with database.transaction() as connection:
            registry = await read_registry(connection)
            columns, omitted = await describe_columns(connection, registry)
            hidden = _secret_columns(registry) if redact else {}
            separator = b"{\n"
            if columns:
                out.write(separator + _section(COLUMNS, (column.to_entry() for column in columns)))
                separator = b",\n"
            for table in _tables(registry).values():
                if redact and table.name in SECRET_TABLES:
                    continue
                names = [column.name for column in table.c if column.name not in hidden.get(table.name, ())]
                rows = [_to_file_row(table, row, names) for row in await _fetch_rows(connection, table)]
                out.write(separator + _section(table.name, rows))
                separator = b",\n"
                if progress:
                    progress(table.name, len(rows), len(rows))
            out.write(b"\n}\n")
    draft.replace(file)
    return omitted


def _section(name: str, rows: Iterable[FileRow]) -> bytes:
    return orjson.dumps(name) + b": [\n" + ",\n".join(map(dump_json, rows)).encode() + b"\n]"


def _secret_columns(registry: Registry) -> dict[str, set[str]]:
    custom: dict[str, set[str]] = {}
    for table, field in custom_columns(registry):
        if field.concealed:
            custom.setdefault(table, set()).add(field.name)
    return {name: SECRET_COLUMNS.get(name, set()) | custom.get(name, set()) for name in {*SECRET_COLUMNS, *custom}}


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


def _check_names(tables: Mapping[str, Any]) -> None:
    for name in tables:
        if name not in TABLES and name != COLUMNS:
            raise OperatorError(f"{name} can't be imported. The tables that can are {', '.join(sorted(TABLES))}.")


def _parse(
    file: Mapping[str, Any], tables: Mapping[str, Table], connection: AsyncConnection
) -> dict[str, list[FileRow]]:
    """Return the file's rows of these tables, in the order of the file."""
    return {
        name: _check_unique(tables[name], [_parse_row(tables[name], row, connection.dialect.name) for row in rows])
        for name, rows in file.items()
        if name in tables
    }


def _parse_row(table: Table, row: Any, dialect: str) -> FileRow:
    key = primary_key(table).name
    if not isinstance(row, dict) or row.get(key) is None:
        raise OperatorError(f"{table.name}: every row must be an object with its {key}.")
    location = f"{table.name}, row {row[key]}"
    for name in row:
        if name not in table.c:
            hint = " A custom column needs an entry in columns and a row of directus_fields."
            raise OperatorError(f"{location}: there is no column {name}.{hint if table.name in CUSTOMIZABLE else ''}")
    return {name: parse_value(table.c[name], value, f"{location}, {name}", dialect) for name, value in row.items()}


def _invalid_regexes(tables: Mapping[str, Iterable[FileRow]]) -> Iterator[str]:
    """Yield a warning for each value with a regular expression that can't be compiled."""
    for column, regexes_in in REGEX_COLUMNS.items():
        for row in tables.get(column.table.name, ()):
            try:
                for pattern in regexes_in(row[column.name]) if row.get(column.name) else ():
                    Regex(unwrap(pattern))
            except InvalidRegex as error:
                location = f"{column.table.name}, row {row[primary_key(column.table).name]}, {column.name}"
                yield f"{location}: it contains an invalid regular expression, which matches nothing: {error}."


def _check_unique(table: Table, rows: list[FileRow]) -> list[FileRow]:
    key, seen = primary_key(table).name, set()
    for row in rows:
        if row[key] in seen:
            raise OperatorError(f"{table.name}: {key} {row[key]} occurs twice.")
        seen.add(row[key])
    return rows


async def _fetch_rows(connection: AsyncConnection, table: Table) -> Iterable[Mapping[Any, Any]]:
    return (await connection.execute(select(table).order_by(primary_key(table)))).mappings().all()


def _to_file_row(table: Table, row: Mapping[Any, Any], names: Iterable[str]) -> FileRow:
    return {name: file_value(table.c[name], row[table.c[name]]) for name in names}
