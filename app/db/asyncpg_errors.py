"""What the errors of PostgreSQL's driver mean."""

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.driver_errors import INVALID_VALUE, STATEMENT_TOO_LARGE, DriverErrors

# A limit of the server is exceeded, such as the depth of its stack; it is out of memory, or the temporary files are
# larger than it allows.
TOO_LARGE_SQLSTATES = ("54", "53200", "53400")
INVALID_VALUE_SQLSTATES = ("22",)
TOO_MANY_PARAMETERS = "the number of query arguments cannot exceed"


class AsyncpgErrors(DriverErrors):
    """The exceptions of asyncpg, which calls some of what it raises on a broken connection an internal error."""

    own = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    reported = (asyncpg.PostgresError,)
    unreachable = (OSError, *own, AsyncAdapt_asyncpg_dbapi.Error, PoolTimeout, DBAPIError)
    unusable = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)

    def is_timeout(self, error: BaseException) -> bool:
        return isinstance(error, asyncpg.QueryCanceledError)

    def is_missing_column(self, error: BaseException) -> bool:
        return isinstance(error, asyncpg.UndefinedColumnError)

    def rejection_reason(self, error: BaseException) -> str | None:
        if isinstance(error, asyncpg.PostgresError):
            code = error.sqlstate or ""
            if code.startswith(TOO_LARGE_SQLSTATES):
                return STATEMENT_TOO_LARGE
            return INVALID_VALUE if code.startswith(INVALID_VALUE_SQLSTATES) else None
        if isinstance(error, asyncpg.InterfaceError):  # asyncpg's own check, before anything is sent
            return STATEMENT_TOO_LARGE if str(error).startswith(TOO_MANY_PARAMETERS) else None
        return INVALID_VALUE if isinstance(error, OverflowError) else None

    def found_no_primary(self, error: BaseException) -> bool:
        return isinstance(error, asyncpg.TargetServerAttributeNotMatched)

    def redact(self, error: BaseException) -> None:
        if isinstance(error, asyncpg.PostgresError):
            error.detail = None  # names a key or quotes a whole row
        if isinstance(error, asyncpg.DataError):
            error.args = ("a value doesn't fit its column",)
