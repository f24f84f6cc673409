"""The index that keeps e-mail addresses apart whatever their case, also from a writer who doesn't look.

SQLite folds ASCII only in an index; what writes here looks for itself, and folds as Unicode does.
"""

from sqlalchemy import Connection, text

from app.db.base import POSTGRESQL
from app.db.integrity import EMAILS

THERE = {
    POSTGRESQL: "SELECT to_regclass(:name) IS NOT NULL",
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = :name",
}

FOLDED = {POSTGRESQL: "rollcall_fold(email)", "sqlite": "lower(email)"}
DOUBLES = "SELECT {folded} FROM directus_users GROUP BY {folded} HAVING count(email) > 1 ORDER BY 1"


def has_email_index(connection: Connection) -> bool:
    """Whether the index is there."""
    return bool(connection.scalar(text(THERE[connection.dialect.name]), {"name": EMAILS}))


def ensure_email_index(connection: Connection) -> list[str]:
    """Makes the index where it isn't there; the addresses that stand in its way, in lower case, where some do."""
    if has_email_index(connection):
        return []
    folded = FOLDED[connection.dialect.name]
    doubles = [str(row[0]) for row in connection.execute(text(DOUBLES.format(folded=folded)))]
    if not doubles:
        connection.execute(text(f"CREATE UNIQUE INDEX {EMAILS} ON directus_users ({folded})"))
    return doubles
