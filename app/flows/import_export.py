"""Moving a world between databases: rows in a JSON file, `{table: [row, …]}`."""

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Boolean, Column, Integer, String, Table, delete, insert, select, text, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.core.values import parse_date
from app.db.base import POSTGRESQL, Csv, JsonText, Timestamp, UUIDText
from app.db.database import Database
from app.db.models import DIRECTUS_TABLES
from app.db.seeds import is_pristine
from app.db.table_check import extra_columns
from app.flows.bootstrap import active_admin

Row = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Told the table, or the step, that is under way, how much of it is done, and of how much."""

TABLES: Mapping[str, Table] = {table.name: table for table in DIRECTUS_TABLES}
SECRETS = {
    "directus_users": {"password", "token", "tfa_secret", "auth_data"},
    "directus_settings": {
        column.name for column in TABLES["directus_settings"].columns if column.name.endswith("_api_key")
    },
}
SECRET_TABLES = {"directus_sessions"}


async def import_file(database: Database, file: Path, progress: Progress | None = None) -> dict[str, int]:
    """Loads a file in one transaction; returns how many rows each table was given.

    Rows whose key is known are updated, others added; where only bootstrap's rows are, the file's replace them.
    Raises Refusal, with nothing changed, for what isn't understood, and names table, row and column.
    """
    return await import_rows(database, _read(file), progress)


async def import_rows(
    database: Database, given: Mapping[str, Any], progress: Progress | None = None, *, replace: bool = True
) -> dict[str, int]:
    """The same for rows at hand, spelled as in a file; without `replace` bootstrap's own rows stay in any case."""
    rows = _checked(given)

    async def work(connection: AsyncConnection) -> dict[str, int]:
        replaced = replace and await connection.run_sync(is_pristine)
        if replaced:
            for table in reversed(DIRECTUS_TABLES):
                await connection.execute(delete(table))
        for table in DIRECTUS_TABLES:
            await _load(connection, table, rows.get(table.name, []), progress)
        if replaced and not await active_admin(connection):
            raise OperatorError("The rows would replace bootstrap's, and hold no active admin: nobody could get in.")
        return {name: len(given) for name, given in rows.items()}

    return await database.run_in_transaction(work)


async def export_file(
    database: Database, file: Path, *, redact: bool = False, progress: Progress | None = None
) -> list[str]:
    """Writes every row that a Directus table holds, for nobody else to read (mode 0600).

    With `redact` secrets stay out: passwords, tokens, sessions, api keys. What a project added to these tables stays
    out in any case; returns the columns that do, as `table.column`.
    """
    draft = file.with_name(f".{file.name}.{uuid4().hex}")  # so that what stood there stays until all is written
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        async with database.transaction() as connection:
            left_out = await connection.run_sync(extra_columns)
            tables = [table for table in DIRECTUS_TABLES if not (redact and table.name in SECRET_TABLES)]
            for number, table in enumerate(tables):
                out.write(b"{\n" if number == 0 else b",\n")
                hidden = SECRETS.get(table.name, set()) if redact else set()
                rows = [_plain(table, row, hidden) for row in await _rows(connection, table)]
                lines = b",\n".join(map(orjson.dumps, rows))
                out.write(orjson.dumps(table.name) + b": [\n" + lines + b"\n]")
                if progress:
                    progress(table.name, len(rows), len(rows))
            out.write(b"\n}\n")
    draft.replace(file)
    return left_out


def _read(file: Path) -> Mapping[str, Any]:
    try:
        given = orjson.loads(file.read_bytes())
    except OSError as error:
        raise OperatorError(f"{file} can't be read: {error.strerror}.") from None
    except orjson.JSONDecodeError as error:
        raise OperatorError(f"{file} is not JSON: {error}.") from None
    if not isinstance(given, dict) or not all(isinstance(rows, list) for rows in given.values()):
        raise OperatorError(f"{file} should hold one object, with a list of rows for each table.")
    return given


def _checked(given: Mapping[str, Any]) -> dict[str, list[Row]]:
    for name in given:
        if name not in TABLES:
            raise OperatorError(
                f"{name} is no table that can be imported; those known are {', '.join(sorted(TABLES))}."
            )
    return {name: _unique(TABLES[name], [_row(TABLES[name], row) for row in rows]) for name, rows in given.items()}


def _row(table: Table, row: Any) -> Row:
    key = _key(table).name
    if not isinstance(row, dict) or row.get(key) is None:
        raise OperatorError(f"{table.name}: every row should be an object with its {key}.")
    where = f"{table.name}, row {row[key]}"
    for name in row:
        if name not in table.c:
            raise OperatorError(f"{where}: there is no column {name}.")
    return {name: _value(table.c[name], value, f"{where}, {name}") for name, value in row.items()}


def _value(column: Column[Any], value: Any, where: str) -> Any:
    if value is None or isinstance(column.type, JsonText):
        return value
    try:
        return _converted(column, value)
    except (ValueError, TypeError, AttributeError):
        raise OperatorError(f"{where}: {_shown(value)} is not what the column holds ({_kind(column)}).") from None


def _converted(column: Column[Any], value: Any) -> Any:
    kinds: tuple[tuple[type, type | tuple[type, ...], Callable[[Any], Any]], ...] = (
        (UUIDText, str, lambda text: str(UUID(text))),
        (Timestamp, str, parse_date),
        (Csv, (str, list), lambda words: words if isinstance(words, str) else ",".join(words)),
        (Boolean, bool, bool),
        (Integer, int, int),
        (String, str, str),
    )
    of, take = next((of, take) for kind, of, take in kinds if isinstance(column.type, kind))
    if not isinstance(value, of) or (of is int and isinstance(value, bool)):
        raise ValueError
    longest = getattr(column.type, "length", None)
    if isinstance(value, str) and longest and len(value) > longest and not isinstance(column.type, UUIDText):
        raise ValueError
    return take(value)


def _kind(column: Column[Any]) -> str:
    names = {UUIDText: "a uuid", Timestamp: "a date", Csv: "words", Boolean: "true or false", Integer: "a whole number"}
    found = next((name for kind, name in names.items() if isinstance(column.type, kind)), None)
    longest = getattr(column.type, "length", None)
    return found or (f"a text of up to {longest} characters" if longest else "a text")


def _shown(value: Any) -> str:
    return f"a {type(value).__name__}"  # never the value itself: it may be a secret


def _unique(table: Table, rows: list[Row]) -> list[Row]:
    key, seen = _key(table).name, set()
    for row in rows:
        if row[key] in seen:
            raise OperatorError(f"{table.name}: {key} {row[key]} stands there twice.")
        seen.add(row[key])
    return rows


async def _load(connection: AsyncConnection, table: Table, rows: list[Row], progress: Progress | None) -> None:
    """Rows first, what they say of each other afterwards: a row may point at one that comes later."""
    inward = {c.name for c in table.c if any(key.column.table is table for key in c.foreign_keys)}
    key = _key(table)
    known = set((await connection.execute(select(key))).scalars()) if rows else set()
    for number, row in enumerate(rows, 1):
        values = {name: value for name, value in row.items() if name not in inward}
        change = update(table).where(key == row[key.name]) if row[key.name] in known else insert(table)
        await _run(connection, table, row, change.values(values))
        if progress:
            progress(table.name, number, len(rows))
    for row in rows:
        links = {name: row[name] for name in inward & row.keys()}
        if links:
            await _run(connection, table, row, update(table).where(key == row[key.name]).values(links))
    if connection.dialect.name == POSTGRESQL and rows and isinstance(key.type, Integer):
        sequence = f"pg_get_serial_sequence('{table.name}', '{key.name}')"
        last = f"GREATEST((SELECT max({key.name}) FROM {table.name}), pg_sequence_last_value({sequence}::regclass))"
        await connection.execute(text(f"SELECT setval({sequence}, {last})"))


async def _run(connection: AsyncConnection, table: Table, row: Row, statement: Any) -> None:
    try:
        await connection.execute(statement)
    except (IntegrityError, DataError):
        raise OperatorError(
            f"{table.name}, row {row[_key(table).name]}: it can't be stored. A value that has to be unique is taken, "
            "one that has to be there is missing, or it points at a row that isn't there."
        ) from None


async def _rows(connection: AsyncConnection, table: Table) -> Iterable[Mapping[Any, Any]]:
    return (await connection.execute(select(table).order_by(_key(table)))).mappings().all()


def _plain(table: Table, row: Mapping[Any, Any], hidden: set[str]) -> Row:
    return {f"{column.name}": _told(column, row[column]) for column in table.c if column.name not in hidden}


def _told(column: Column[Any], value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return ",".join(value) if isinstance(column.type, Csv) and value is not None else value


def _key(table: Table) -> Column[Any]:
    return next(iter(table.primary_key))
