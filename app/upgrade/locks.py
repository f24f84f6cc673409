"""Locks Directus' tables until the transaction ends."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.errors import OperatorError
from app.db.database import LOCK_NOT_AVAILABLE
from app.db.engine import sqlstate

LOCK_TIMEOUT = "10s"
"""How long each lock is waited for. Other sessions queue behind it meanwhile."""
HOLDERS = """
    SELECT coalesce(nullif(a.application_name, ''), 'without a name'), a.pid, a.state
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.granted AND l.pid <> pg_backend_pid() AND l.database = a.datid
    AND l.relation IN (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) name)
    GROUP BY 1, 2, 3 ORDER BY 2 LIMIT 5
"""


async def acquire_locks(connection: AsyncConnection, *, exclusive: Sequence[str], readable: Sequence[str]) -> None:
    """Lock all these tables, or none: other sessions can't even read `exclusive` ones, and only read `readable` ones.

    Raises:
        OperatorError: A lock was not available in time; the message names the sessions that hold it.
    """
    try:
        async with connection.begin_nested():
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.execute(text(f"LOCK TABLE {', '.join(exclusive)} IN ACCESS EXCLUSIVE MODE"))
            await connection.execute(text(f"LOCK TABLE {', '.join(readable)} IN SHARE ROW EXCLUSIVE MODE"))
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
    else:
        return
    rows = await connection.execute(text(HOLDERS), {"tables": [*exclusive, *readable]})
    holders = [f"{name} (process {pid}, {state or 'busy'})" for name, pid, state in rows]
    raise OperatorError(
        "Other sessions use Directus' tables, and did not release them in time: "
        f"{', '.join(holders) or 'they have ended meanwhile'}. Stop Directus and whatever else uses the database, then "
        "try again. Nothing was changed."
    )
