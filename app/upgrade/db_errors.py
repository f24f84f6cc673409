"""Describes database errors of an upgrade or a revert in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from app.core.errors import OperatorError
from app.db.database import CONFLICT_SQLSTATES, LOCK_NOT_AVAILABLE
from app.db.engine import sqlstate
from app.db.migrate import INSUFFICIENT_PRIVILEGE
from app.upgrade.inspection import ROLE_FLAGS

DEPENDENT_OBJECTS = "2BP01"
OWNERSHIP_REQUIRED_MESSAGE = (
    "The database user must own Directus' tables, and must be allowed to create tables and temporary tables. "
    "Nothing was changed."
)
READ_REQUIRED_MESSAGE = "The database user must be allowed to read Directus' tables."


@contextmanager
def translate_db_errors(missing_privileges: str = OWNERSHIP_REQUIRED_MESSAGE) -> Iterator[None]:
    """Translate the database's errors; `missing_privileges` is the message if a privilege is missing.

    Errors that trying again may resolve, now or later, are raised unchanged.

    Raises:
        OperatorError: The database rejected a statement.
    """
    try:
        yield
    except DBAPIError as error:
        code = sqlstate(error)
        if error.connection_invalidated or code == LOCK_NOT_AVAILABLE or code in CONFLICT_SQLSTATES:
            raise
        raise OperatorError(_message(code, missing_privileges)) from error


def _message(code: str, missing_privileges: str) -> str:
    if code == INSUFFICIENT_PRIVILEGE:
        return missing_privileges
    if code == DEPENDENT_OBJECTS:
        return (
            "A view, a foreign key or another object of the project depends on something that would be removed: the "
            f"tables of policies, the role or policy of permissions, or {', '.join(ROLE_FLAGS)} or parent of roles. "
            "Drop that object first, and create it again afterwards. Nothing was changed."
        )
    return f"PostgreSQL rejected a statement with the code {code}. Nothing was changed."
