"""What the errors of SQLite's driver mean."""

import re
import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.driver_errors import INVALID_VALUE, STATEMENT_TOO_LARGE, DriverErrors

INTERRUPTED = "interrupted"
TOO_LARGE = re.compile(r"too (many|large|big|complex)|parser stack overflow|at most \d+ tables")
INVALID = re.compile(r"integer overflow|datatype mismatch|Error binding parameter")


class SQLiteErrors(DriverErrors):
    """The exceptions of `sqlite3`, which aiosqlite passes on."""

    own = reported = (sqlite3.Error,)
    unreachable = (OSError, PoolTimeout, DBAPIError)
    unusable = (OSError,)

    def is_timeout(self, error: BaseException) -> bool:
        return isinstance(error, sqlite3.OperationalError) and str(error) == INTERRUPTED

    def is_missing_column(self, error: BaseException) -> bool:
        if not isinstance(error, sqlite3.OperationalError):
            return False
        return str(error).startswith("no such column") or "has no column named" in str(error)

    def rejection_reason(self, error: BaseException) -> str | None:
        if isinstance(error, OverflowError):  # an integer of more than 64 bits
            return INVALID_VALUE
        if isinstance(error, sqlite3.IntegrityError) or not isinstance(error, sqlite3.Error):
            return None
        message = str(error)
        if TOO_LARGE.search(message):
            return STATEMENT_TOO_LARGE
        return INVALID_VALUE if INVALID.search(message) else None

    def found_no_primary(self, error: BaseException) -> bool:
        return False

    def redact(self, error: BaseException) -> None:
        """Do nothing: SQLite's messages quote no values."""
