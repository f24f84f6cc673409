"""Directus' tables, held against everybody else until the transaction ends."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.database import LOCK_NOT_AVAILABLE
from app.db.engine import sqlstate

WAIT = "10s"
"""How long each lock is waited for; meanwhile others wait behind."""
HOLDERS = """
    SELECT coalesce(nullif(a.application_name, ''), 'without a name'), a.pid, a.state
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.granted AND l.pid <> pg_backend_pid() AND l.database = a.datid
    AND l.relation IN (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) name)
    GROUP BY 1, 2, 3 ORDER BY 2 LIMIT 5
"""


async def take_locks(connection: AsyncConnection, *, alone: Sequence[str], readable: Sequence[str]) -> None:
    """Take some tables `alone`, so that nobody else may even read them, and others that stay `readable`; all at once.

    Raises Refusal, which names the sessions that hold it up, where they aren't to be had in time.
    """
    try:
        async with connection.begin_nested():
            await connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT}'"))
            await connection.execute(text(f"LOCK TABLE {', '.join(alone)} IN ACCESS EXCLUSIVE MODE"))
            await connection.execute(text(f"LOCK TABLE {', '.join(readable)} IN SHARE ROW EXCLUSIVE MODE"))
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
    else:
        return
    found = await connection.execute(text(HOLDERS), {"tables": [*alone, *readable]})
    holders = [f"{name} (process {pid}, {state or 'busy'})" for name, pid, state in found]
    raise OperatorError(
        "Other sessions are using Directus' tables, and didn't let go of them in time: "
        f"{', '.join(holders) or 'they are gone now'}. Stop Directus, and whatever else uses the database, then try "
        "again. Nothing was changed."
    )
