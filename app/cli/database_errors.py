"""Describes a database error in one line, without the driver's message, which may hold values."""

import re
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from app.core.errors import OperatorError, SchemaChanged, ServiceUnavailable
from app.db.base import POSTGRESQL
from app.db.driver_errors import DATABASE_UNAVAILABLE, DriverErrors
from app.db.drivers import driver_errors

UNDEFINED_TABLE = "42P01"
CONNECTION_ERROR_CLASS = "08"
REJECTIONS = {
    "28000": "the server rejects this user",
    "28P01": "the server knows no such user with this password",
    "3D000": "the server has no such database",
    "42501": "this user has no right to connect to it",
    "53300": "the server has too many connections",
    "57P03": "the server is starting or stopping",
}
"""Why a PostgreSQL server rejects a connection, by SQLSTATE."""
UNKNOWN_HOST = "the host is unknown"
NO_PRIMARY = "none of the hosts accepts writes"
REMEDIES = {
    REJECTIONS["28000"]: "Correct the user in DATABASE_URL, or the server's pg_hba.conf.",
    REJECTIONS["28P01"]: "Correct the user and the password in DATABASE_URL.",
    REJECTIONS["3D000"]: "Create it, for example with `createdb`, or correct DATABASE_URL.",
    UNKNOWN_HOST: "Correct the host in DATABASE_URL.",
}
DEFAULT_REMEDY = "Check DATABASE_URL, and that the server is running and accepts connections."
NETWORK_ERRORS: tuple[tuple[type[OSError], str], ...] = (
    (socket.gaierror, UNKNOWN_HOST),
    (ConnectionRefusedError, "the connection was refused"),
    (TimeoutError, "the server did not respond in time"),
    (FileNotFoundError, "there is no such socket"),
    (PermissionError, "the socket's permissions forbid it"),
)
SQLITE_NO_TABLE = "no such table"
DEFAULT_ADDRESS = {"host": "localhost", "port": 5432}
PRIMARY_CODE_MASK = 0xFF
"""SQLite's extended error codes hold the primary code in their lowest byte."""
WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def operator_error(error: Exception, url: URL) -> OperatorError | None:
    """Return the error to print for a failed command on the database at `url`; None if no database error caused it."""
    unavailable = isinstance(error, ServiceUnavailable) and error.reason == DATABASE_UNAVAILABLE
    errors = driver_errors(url.get_backend_name())
    if not (unavailable or isinstance(error, (DBAPIError, SchemaChanged, *errors.own))):
        return None
    # SQLAlchemy or `Database` may have replaced it
    reported = next((each for each in _causes(error) if isinstance(each, errors.reported)), None)
    if reported is None:
        return OperatorError(_unreachable_message(url, _network_reason(error, errors)))
    if isinstance(reported, sqlite3.Error):
        return OperatorError(_sqlite_message(reported, url))
    return OperatorError(_postgresql_message(reported, url))


def no_tables_message(url: URL) -> str:
    """Return the message for a database that was never bootstrapped; in the wrong directory that is another file."""
    name = url.database if url.get_backend_name() == POSTGRESQL else Path(url.database or "").absolute()
    return f"The database {name} has no Rollcall tables. Run `rollcall bootstrap` first, or correct DATABASE_URL."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and those behind it, the last raised first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _network_reason(error: Exception, errors: DriverErrors) -> str:
    """Return why no connection was made, as far as the operating system says; several addresses have no one reason."""
    if any(errors.found_no_primary(each) for each in _causes(error)):
        return NO_PRIMARY
    os_error = next((each for each in _causes(error) if isinstance(each, OSError)), None)
    return next((reason for class_, reason in NETWORK_ERRORS if isinstance(os_error, class_)), "no connection was made")


def _postgresql_message(error: BaseException, url: URL) -> str:
    sqlstate: str = getattr(error, "sqlstate", None) or ""
    if sqlstate == UNDEFINED_TABLE:
        return no_tables_message(url)
    if sqlstate in REJECTIONS:
        return _unreachable_message(url, REJECTIONS[sqlstate])
    if sqlstate.startswith(CONNECTION_ERROR_CLASS):
        return _unreachable_message(url, "the connection broke")
    name = _condition_name(type(error))
    return f"Database error {sqlstate} ({name})." if name else f"Database error {sqlstate}."


def _condition_name(error_class: type[BaseException]) -> str:
    """Return PostgreSQL's name of a condition, as asyncpg's class spells it; empty if asyncpg has no class for it."""
    if getattr(error_class, "sqlstate", None) is None:
        return ""
    name = error_class.__name__.removeprefix("Postgres").removesuffix("Error")
    return WORD_STARTS.sub(" ", name).lower()


def _sqlite_message(error: sqlite3.Error, url: URL) -> str:
    if str(error).startswith(SQLITE_NO_TABLE):
        return no_tables_message(url)
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by Python's module, not by SQLite
        return f"Database error ({type(error).__name__})."
    primary_code = code & PRIMARY_CODE_MASK
    if primary_code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB):
        return _file_message(Path(url.database or ""), primary_code)
    return f"Database error {code} ({error.sqlite_errorname})."


def _file_message(file: Path, primary_code: int) -> str:
    if primary_code == sqlite3.SQLITE_NOTADB:
        return f"The file {file} is not an SQLite database. Correct DATABASE_URL."
    if file.is_dir():
        return f"{file} is a directory. DATABASE_URL must name a file."
    return (
        f"The database file {file} can't be opened. Check DATABASE_URL, and the permissions of the file and directory."
    )


def _unreachable_message(url: URL, reason: str) -> str:
    if url.get_backend_name() != POSTGRESQL:
        return _file_message(Path(url.database or ""), sqlite3.SQLITE_CANTOPEN)
    _, arguments = url.get_dialect()().create_connect_args(url)
    host, port = (_joined(arguments.get(name) or default) for name, default in DEFAULT_ADDRESS.items())
    return (
        f"The database {url.database} at host {host}, port {port} can't be reached: {reason}. "
        f"{REMEDIES.get(reason, DEFAULT_REMEDY)}"
    )


def _joined(value: object) -> str:
    """Return a host or port as text; DATABASE_URL may list several."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
