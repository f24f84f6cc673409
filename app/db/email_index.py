"""The unique index on the emails of users, whatever their case. It also binds writers other than Rollcall.

In an index SQLite folds ASCII only; Rollcall's own writes check uniqueness themselves and fold as Unicode does.
"""

from sqlalchemy import Connection, text

from app.db.base import POSTGRESQL
from app.db.integrity import EMAIL_INDEX

INDEX_EXISTS = {
    POSTGRESQL: "SELECT to_regclass(:name) IS NOT NULL",
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = :name",
}
FOLDED_EMAIL = {POSTGRESQL: "rollcall_fold(email)", "sqlite": "lower(email)"}
DUPLICATE_EMAILS = "SELECT {folded} FROM directus_users GROUP BY {folded} HAVING count(email) > 1 ORDER BY 1"


def has_email_index(connection: Connection) -> bool:
    """Return whether the index exists."""
    return bool(connection.scalar(text(INDEX_EXISTS[connection.dialect.name]), {"name": EMAIL_INDEX}))


def ensure_email_index(connection: Connection) -> list[str]:
    """Create the index unless it exists; return the duplicate emails that prevent it, in lower case."""
    if has_email_index(connection):
        return []
    folded = FOLDED_EMAIL[connection.dialect.name]
    duplicates = [str(row[0]) for row in connection.execute(text(DUPLICATE_EMAILS.format(folded=folded)))]
    if not duplicates:
        connection.execute(text(f"CREATE UNIQUE INDEX {EMAIL_INDEX} ON directus_users ({folded})"))
    return duplicates
