"""An upgrade that is killed before each of its statements in turn: `python -m tests.upgrade.killed URL`.

Prints a line for each time: how it ended, and a digest of all columns, constraints and rows there are then.
"""

import asyncio
import json
import os
import signal
import sys

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import Engine

from app.core.config import Settings
from app.db.session import Database
from app.upgrade.up import upgrade

ROWS = ("directus_roles", "directus_permissions", "directus_users", "directus_migrations", "directus_settings")
DIGEST = f"""
    SELECT md5(concat_ws('|',
        (SELECT string_agg(format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)), ',' ORDER BY oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
        (SELECT string_agg(attrelid::regclass || ' ' || attname, ',' ORDER BY attrelid, attnum) FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace),
        {", ".join(f"(SELECT string_agg(t::text, ',' ORDER BY t::text) FROM {table} t)" for table in ROWS)}
    ))
"""
"""Of all columns and constraints of a database, and of the rows that an upgrade could get at."""
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"


def die_at(number):
    """Kills this process right before its statement with that number, of whatever kind, or before it commits."""
    left = number

    def count(*_):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


def opened(url):
    return Database.open(Settings(_env_file=None, database_url=url))


async def run(url):
    database = opened(url)
    await upgrade(database, lambda *_: None)
    await database.dispose()


def killed_at(url, number):
    """How such a process ends: 0, or the number of the signal that ended it, negative."""
    child = os.fork()
    if child == 0:
        die_at(number)
        asyncio.run(run(url))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def digest(url):
    """Of what is there once PostgreSQL has noticed that nobody else is."""
    connection = await asyncpg.connect(url)
    while await connection.fetchval(OTHERS) > 1:  # noqa: ASYNC110 - only PostgreSQL knows when
        await asyncio.sleep(0.01)
    try:
        return await connection.fetchval(DIGEST)
    finally:
        await connection.close()


def tell(ended, url):
    sys.stdout.write(json.dumps([ended, asyncio.run(digest(url))]) + "\n")
    sys.stdout.flush()


def main(url):
    opened(url)  # so that no child has to find the driver anew
    tell(None, url)
    ended, number = -signal.SIGKILL, 0
    while ended == -signal.SIGKILL:
        number += 1
        ended = killed_at(url, number)
        tell(ended, url)


if __name__ == "__main__":
    main(sys.argv[1])
