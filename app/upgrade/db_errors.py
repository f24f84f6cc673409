"""What the database didn't allow, said in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from app.core.errors import OperatorError
from app.db.database import CONFLICT_SQLSTATES, LOCK_NOT_AVAILABLE
from app.db.engine import sqlstate
from app.db.migrate import INSUFFICIENT_PRIVILEGE
from app.upgrade.inspection import FLAGS

DEPENDED_ON = "2BP01"
TO_OWN = (
    "The database's user should own Directus' tables, and be allowed to create tables, temporary ones too. "
    "Nothing was changed."
)
"""What it takes to change them."""
TO_READ = "The database's user should be allowed to read Directus' tables."
"""What it takes to look."""


@contextmanager
def translate_db_errors(needed: str = TO_OWN) -> Iterator[None]:
    """Raise Refusal for what the database didn't allow, with the rights that are `needed` where these were missing.

    What trying again, or later, may help with is raised as it is.
    """
    try:
        yield
    except DBAPIError as error:
        code = sqlstate(error)
        if error.connection_invalidated or code == LOCK_NOT_AVAILABLE or code in CONFLICT_SQLSTATES:
            raise
        raise OperatorError(_sentence(code, needed)) from error


def _sentence(code: str, needed: str) -> str:
    if code == INSUFFICIENT_PRIVILEGE:
        return needed
    if code == DEPENDED_ON:
        return (
            "A view, a foreign key or something else of the project's own depends on what would have to go: tables of "
            f"policies, permissions' role or policy, or roles' {', '.join(FLAGS)} or parent. Drop it first, and make "
            "it anew afterwards. Nothing was changed."
        )
    return f"PostgreSQL refused a step of this, with its code {code}. Nothing was changed."
