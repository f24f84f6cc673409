"""What a driver's error means: a dead connection, a statement that took too long, or one that the database rejects."""

import re
import sqlite3

import asyncpg

from app.core.errors import ServiceUnavailable

DATABASE_UNAVAILABLE = "The database is unavailable; try again later"
OUTCOME_UNKNOWN = (
    "The connection to the database broke while the write was being saved, so it may or may not be saved: "
    "read what you wrote before you try again"
)
STATEMENT_TOO_LARGE = "The database can't run a statement of this size or depth; request or write less at once"
INVALID_VALUE = "A value doesn't fit its field or its operator"

CONNECTION_ERRORS = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the drivers raise on a connection that is closed or unusable; asyncpg calls some of it an internal error."""
# The server shut down, the connection broke or was idle in a transaction for too long, or another program altered a
# table under a prepared statement.
STALE_SQLSTATES = ("57P", "08", "25P03", "25P04", "0A000")
READ_ONLY_SQLSTATE = "25006"
"""A write reached a standby: the primary that was at this address is no longer one."""
# A limit of the server is exceeded, such as the depth of its stack; it is out of memory, or the temporary files are
# larger than it allows.
TOO_LARGE_SQLSTATES = ("54", "53200", "53400")
INVALID_VALUE_SQLSTATES = ("22",)
ASYNCPG_TOO_MANY_PARAMETERS = "the number of query arguments cannot exceed"
SQLITE_INTERRUPTED = "interrupted"
SQLITE_TOO_LARGE = re.compile(r"too (many|large|big|complex)|parser stack overflow|at most \d+ tables")
SQLITE_INVALID_VALUE = re.compile(r"integer overflow|datatype mismatch|Error binding parameter")


def is_timeout(error: BaseException) -> bool:
    """Return whether the database stopped a statement because of its time limit."""
    is_sqlite = isinstance(error, sqlite3.OperationalError)
    return isinstance(error, asyncpg.QueryCanceledError) or (is_sqlite and str(error) == SQLITE_INTERRUPTED)


def rejection_reason(error: BaseException) -> str | None:
    """Return why the driver or the database rejects a statement that a request caused; None for any other error.

    The connection stays usable. The reason does not quote the driver's message, which may hold a value.
    """
    if isinstance(error, sqlite3.Error):
        return _sqlite_rejection(error)
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or ""
        if code.startswith(TOO_LARGE_SQLSTATES):
            return STATEMENT_TOO_LARGE
        return INVALID_VALUE if code.startswith(INVALID_VALUE_SQLSTATES) else None
    if isinstance(error, asyncpg.InterfaceError):  # asyncpg's own check, before anything is sent
        return STATEMENT_TOO_LARGE if str(error).startswith(ASYNCPG_TOO_MANY_PARAMETERS) else None
    return INVALID_VALUE if isinstance(error, OverflowError) else None  # an integer of more than 64 bits, on SQLite


def _sqlite_rejection(error: sqlite3.Error) -> str | None:
    message = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return None
    if SQLITE_TOO_LARGE.search(message):
        return STATEMENT_TOO_LARGE
    return INVALID_VALUE if SQLITE_INVALID_VALUE.search(message) else None


def is_missing_column(error: BaseException) -> bool:
    """Return whether a statement names a column that does not exist: a custom field was dropped a moment ago."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith("no such column") or "has no column named" in str(error)
    return isinstance(error, asyncpg.UndefinedColumnError)


def is_stale(error: BaseException) -> bool:
    """Return whether a connection is dead, or older than a change of the tables, so that a new one may work."""
    code = getattr(error, "sqlstate", None) or ""
    return code.startswith(STALE_SQLSTATES) or (isinstance(error, CONNECTION_ERRORS) and not rejection_reason(error))


def redact_driver_error(error: BaseException) -> None:
    """Remove stored and sent values from a driver's error, whose text may end up in the log."""
    if isinstance(error, asyncpg.PostgresError):
        error.detail = None  # names a key or quotes a whole row
    if isinstance(error, asyncpg.DataError):
        error.args = ("a value doesn't fit its column",)


class StaleConnection(ServiceUnavailable):
    """The connection was dead, or older than a change of the tables; a new one may work."""

    def __init__(self) -> None:
        super().__init__(DATABASE_UNAVAILABLE)


class OutcomeUnknown(StaleConnection):
    """The connection broke during the commit, so that the write must not be run again: it may be saved."""

    may_retry = False

    def __init__(self) -> None:
        ServiceUnavailable.__init__(self, OUTCOME_UNKNOWN)


class StatementTimeout(ServiceUnavailable):
    """The database stopped a statement after `seconds`; its connection is still usable."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The query took longer than the {seconds:g} s allowed; request less data")
