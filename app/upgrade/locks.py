"""Directus' tables, held against everybody else until the transaction ends."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.engine import sqlstate
from app.db.refusal import Refusal
from app.db.session import LOCKED

HELD = ("directus_roles", "directus_permissions")
"""The tables that nobody else may even read meanwhile, since columns of theirs go."""
POINTED_AT = ("directus_users", "directus_migrations")
"""The tables that others may read, but not change."""

WAIT = "10s"
"""How long each lock is waited for; meanwhile others wait behind."""

LOCKS = (
    f"LOCK TABLE {', '.join(HELD)} IN ACCESS EXCLUSIVE MODE",
    f"LOCK TABLE {', '.join(POINTED_AT)} IN SHARE ROW EXCLUSIVE MODE",
)
HOLDERS = """
    SELECT coalesce(nullif(a.application_name, ''), 'without a name'), a.pid, a.state
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.granted AND l.pid <> pg_backend_pid() AND l.database = a.datid
    AND l.relation IN (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) name)
    GROUP BY 1, 2, 3 ORDER BY 2 LIMIT 5
"""


async def take_locks(connection: AsyncConnection) -> None:
    """Take the locks that an upgrade needs, at once and in one order.

    Raises Refusal, which names the sessions that hold it up, where they aren't to be had in time.
    """
    try:
        async with connection.begin_nested():
            await connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT}'"))
            for lock in LOCKS:
                await connection.execute(text(lock))
    except DBAPIError as error:
        if sqlstate(error) != LOCKED:
            raise
    else:
        return
    found = await connection.execute(text(HOLDERS), {"tables": [*HELD, *POINTED_AT]})
    holders = [f"{name} (process {pid}, {state or 'busy'})" for name, pid, state in found]
    raise Refusal(
        "Other sessions are using Directus' tables, and didn't let go of them in time: "
        f"{', '.join(holders) or 'they are gone now'}. Stop Directus, and whatever else uses the database, then try "
        "again. Nothing was changed."
    )
