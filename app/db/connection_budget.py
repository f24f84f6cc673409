"""The connection budget: whether PostgreSQL accepts as many connections as the server's processes may open."""

from sqlalchemy import text

from app.core.config import Settings
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.db.engine import max_connections_of_process

# Every role may read the number of connections of each database, but not whose they are.
BUDGET = text("""
    SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
        (SELECT coalesce(sum(numbackends), 1) - 1 FROM pg_stat_database)::integer
""")


async def connection_shortage(database: Database, settings: Settings, processes: int) -> str | None:
    """Return a warning if so many processes may open more connections than are free; None if they can't.

    Connections that other nodes have not opened yet can't be seen. Behind a pooler in transaction mode, it is the
    pooler that limits connections, so there is nothing to compare.

    Raises:
        ServiceUnavailable: The database is unreachable.
    """
    if database.dialect != POSTGRESQL or settings.db_pooler is not None:
        return None
    async with database.transaction() as connection:
        allowed, used = (await connection.execute(BUDGET)).one()
    needed = processes * max_connections_of_process(settings.db_pool_size)
    if needed <= allowed - used:
        return None
    return (
        f"PostgreSQL accepts {allowed} connections, of which {used} are in use, and this server may open {needed}. "
        "Raise max_connections, lower DB_POOL_SIZE or --workers, or use PgBouncer."
    )
