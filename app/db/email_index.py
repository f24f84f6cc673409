"""The unique index on the emails of users, whatever their case. It also binds writers other than Rollcall.

In an index SQLite folds ASCII only; Rollcall's own writes check uniqueness themselves and fold as Unicode does.
"""

from sqlalchemy import Connection, TextClause, text

from app.db.base import POSTGRESQL
from app.db.integrity import EMAIL_INDEX

INDEX_EXISTS = {
    POSTGRESQL: "SELECT to_regclass(:name) IS NOT NULL",
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = :name",
}
FOLDED_EMAIL = {POSTGRESQL: "rollcall_fold(email)", "sqlite": "lower(email)"}
DUPLICATE_EMAILS = "SELECT {folded} FROM directus_users GROUP BY {folded} HAVING count(email) > 1 ORDER BY 1"


def select_has_email_index(dialect: str) -> TextClause:
    """Return the statement that says whether the index exists."""
    return text(INDEX_EXISTS[dialect]).bindparams(name=EMAIL_INDEX)


def ensure_email_index(connection: Connection) -> list[str]:
    """Create the index unless it exists; return the duplicate emails that prevent it, in lower case."""
    if connection.scalar(select_has_email_index(connection.dialect.name)):
        return []
    folded = FOLDED_EMAIL[connection.dialect.name]
    duplicates = [str(row[0]) for row in connection.execute(text(DUPLICATE_EMAILS.format(folded=folded)))]
    if not duplicates:
        connection.execute(text(f"CREATE UNIQUE INDEX {EMAIL_INDEX} ON directus_users ({folded})"))
    return duplicates
