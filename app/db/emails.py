"""The index that keeps e-mail addresses apart whatever their case, also from a writer who doesn't look.

SQLite folds ASCII only in an index; what writes here looks for itself, and folds as Unicode does.
"""

from sqlalchemy import Connection, text

from app.db.base import POSTGRESQL
from app.db.violation import EMAILS

THERE = {
    POSTGRESQL: "SELECT to_regclass(:name) IS NOT NULL",
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = :name",
}

DOUBLES = "SELECT lower(email) FROM directus_users GROUP BY lower(email) HAVING count(email) > 1 ORDER BY 1"


def keep_apart(connection: Connection) -> list[str]:
    """Makes the index where it isn't there; the addresses that stand in its way, in lower case, where some do."""
    if connection.scalar(text(THERE[connection.dialect.name]), {"name": EMAILS}):
        return []
    doubles = [str(row[0]) for row in connection.execute(text(DOUBLES))]
    if not doubles:
        connection.execute(text(f"CREATE UNIQUE INDEX {EMAILS} ON directus_users (lower(email))"))
    return doubles
