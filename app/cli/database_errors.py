"""Describes a database error in one line, without the driver's message, which may hold values."""

import re
import sqlite3

import asyncpg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from app.core.errors import OperatorError, ServiceUnavailable
from app.db.base import POSTGRESQL
from app.db.connection import DATABASE_UNAVAILABLE

DATABASE_ERRORS = (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.Error)
NO_TABLES_MESSAGE = "The database has no Rollcall tables. Run `rollcall bootstrap` first."
UNDEFINED_TABLE = "42P01"
CONNECTION_ERROR_CLASS = "08"
SQLITE_NO_TABLE = "no such table"
DEFAULT_ADDRESS = {"host": "localhost", "port": 5432}
PRIMARY_CODE_MASK = 0xFF
"""SQLite's extended error codes hold the primary code in their lowest byte."""
WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

DriverError = asyncpg.PostgresError | sqlite3.Error


def operator_error(error: Exception, url: URL) -> OperatorError | None:
    """Return the error to print for a failed command on the database at `url`; None if no database error caused it."""
    unavailable = isinstance(error, ServiceUnavailable) and error.reason == DATABASE_UNAVAILABLE
    if not (unavailable or isinstance(error, DATABASE_ERRORS)):
        return None
    driver_error = _driver_error(error)
    if isinstance(driver_error, asyncpg.PostgresError):
        return OperatorError(_postgresql_message(driver_error, url))
    if driver_error is not None:
        return OperatorError(_sqlite_message(driver_error, url))
    return OperatorError(_unreachable_message(url))


def _driver_error(error: BaseException | None) -> DriverError | None:
    """Return the driver's exception behind `error`, which SQLAlchemy or `Database` may have replaced."""
    while error is not None and not isinstance(error, DriverError):
        error = error.__cause__ or error.__context__
    return error


def _postgresql_message(error: asyncpg.PostgresError, url: URL) -> str:
    sqlstate = error.sqlstate or ""
    if sqlstate == UNDEFINED_TABLE:
        return NO_TABLES_MESSAGE
    if sqlstate.startswith(CONNECTION_ERROR_CLASS):
        return _unreachable_message(url)
    name = _condition_name(type(error))
    return f"Database error {sqlstate} ({name})." if name else f"Database error {sqlstate}."


def _condition_name(error_class: type[asyncpg.PostgresError]) -> str:
    """Return PostgreSQL's name of a condition, as asyncpg's class spells it; empty if asyncpg has no class for it."""
    if error_class.sqlstate is None:
        return ""
    name = error_class.__name__.removeprefix("Postgres").removesuffix("Error")
    return WORD_STARTS.sub(" ", name).lower()


def _sqlite_message(error: sqlite3.Error, url: URL) -> str:
    if str(error).startswith(SQLITE_NO_TABLE):
        return NO_TABLES_MESSAGE
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by Python's module, not by SQLite
        return f"Database error ({type(error).__name__})."
    if code & PRIMARY_CODE_MASK == sqlite3.SQLITE_CANTOPEN:
        return _unreachable_message(url)
    return f"Database error {code} ({error.sqlite_errorname})."


def _unreachable_message(url: URL) -> str:
    if url.get_backend_name() != POSTGRESQL:
        return f"The database file {url.database} can't be opened. Check DATABASE_URL and the file's permissions."
    _, arguments = url.get_dialect()().create_connect_args(url)
    host, port = (_joined(arguments.get(name) or default) for name, default in DEFAULT_ADDRESS.items())
    return (
        f"The database at host {host}, port {port} can't be reached. "
        "Check DATABASE_URL, and that the server is running and accepts connections."
    )


def _joined(value: object) -> str:
    """Return a host or port as text; DATABASE_URL may list several."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
