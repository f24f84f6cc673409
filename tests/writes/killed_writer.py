"""A process that is killed at each statement of a nested create in turn: `python -m tests.writes.killed_writer URL`.

Prints a line for each time: how it ended, and how many rows there are then in each table that is written to.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing

import asyncpg

from app.core.caller import SYSTEM
from app.db.transaction import WriteTransaction
from app.testing import open_system
from tests.conftest import make_settings

GRANT = {"collection": "directus_users", "action": "read", "fields": ["id"]}
POLICY = {"name": "P", "permissions": [GRANT]}
NEW = {"email": "nested@example.com", "role": {"name": "Nested", "policies": [{"policy": POLICY}]}}
TABLES = ("users", "roles", "policies", "access", "permissions", "activity", "revisions")
COUNTS = "SELECT " + ", ".join(f"(SELECT count(*) FROM directus_{name})" for name in TABLES)


def die_at(number):
    """Kills this process right before the statement with that number."""
    left = number

    def counted(ordinary):
        async def run(self, *arguments):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return await ordinary(self, *arguments)

        return run

    for name in ("fetch_all", "execute_batch", "begin", "commit"):
        setattr(WriteTransaction, name, counted(getattr(WriteTransaction, name)))


async def create(url):
    async with open_system(make_settings(url)) as system:
        await system.directory(SYSTEM)["users"].create_one(NEW)


async def counted_there(url):
    connection = await asyncpg.connect(url)
    try:
        return list((await connection.fetch(COUNTS))[0])
    finally:
        await connection.close()


def counts(url):
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.partition(":///")[2])) as connection:
            return list(connection.execute(COUNTS).fetchone())
    return asyncio.run(counted_there(url))


def killed_at(url, number):
    """How such a process ends: 0, or the number of the signal that ended it, negative."""
    child = os.fork()
    if child == 0:
        die_at(number)
        asyncio.run(create(url))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def tell(ended, url):
    sys.stdout.write(json.dumps([ended, counts(url)]) + "\n")
    sys.stdout.flush()


def main(url):
    tell(None, url)
    ended, number = -signal.SIGKILL, 0
    while ended == -signal.SIGKILL:
        number += 1
        ended = killed_at(url, number)
        tell(ended, url)


if __name__ == "__main__":
    main(sys.argv[1])
