"""The unique index on the emails of users, whatever their case. It also binds writers other than Rollcall.

In an index SQLite folds ASCII only; Rollcall's own writes check uniqueness themselves and fold as Unicode does. On
both databases they also check the two spellings of an international domain, which no index knows.
"""

from collections import defaultdict

from sqlalchemy import Connection, TextClause, text

from app.core.email_addresses import email_key
from app.db.base import POSTGRESQL
from app.db.integrity import EMAIL_INDEX

INDEX_EXISTS = {
    POSTGRESQL: "SELECT to_regclass(:name) IS NOT NULL",
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = :name",
}
FOLDED_EMAIL = {POSTGRESQL: "rollcall_fold(email)", "sqlite": "lower(email)"}
INTERNATIONAL_EMAILS = {
    POSTGRESQL: "SELECT email FROM directus_users WHERE email ~ '[^ -~]' OR email ILIKE '%xn--%'",
    "sqlite": "SELECT email FROM directus_users WHERE email GLOB '*[^ -~]*' OR email LIKE '%xn--%'",
}
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


def duplicate_spellings(connection: Connection) -> list[str]:
    """Return the emails, in lower case, that are those of another user in the other spelling of their domain."""
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for row in connection.execute(text(INTERNATIONAL_EMAILS[connection.dialect.name])):
        spellings[email_key(row[0])].add(row[0].lower())
    return sorted(email for same in spellings.values() if len(same) > 1 for email in same)
