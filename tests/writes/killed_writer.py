"""Kills a process at each statement of a nested create in turn: `python -m tests.writes.killed_writer URL`.

Prints one line per run: the exit code and the number of rows in each table that the create writes to.
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

PERMISSION = {"collection": "directus_users", "action": "read", "fields": ["id"]}
POLICY = {"name": "P", "permissions": [PERMISSION]}
NEW_USER = {"email": "nested@example.com", "role": {"name": "Nested", "policies": [{"policy": POLICY}]}}
TABLES = ("users", "roles", "policies", "access", "permissions", "activity", "revisions")
COUNT_SQL = "SELECT " + ", ".join(f"(SELECT count(*) FROM directus_{name})" for name in TABLES)


def kill_before_statement(number):
    """Kill this process right before the statement with this number."""
    statements_left = number

    def count_call(method):
        async def run(self, *arguments):
            nonlocal statements_left
            statements_left -= 1
            if statements_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return await method(self, *arguments)

        return run

    for name in ("fetch_all", "execute_batch", "begin", "commit"):
        setattr(WriteTransaction, name, count_call(getattr(WriteTransaction, name)))


async def create(url):
    async with open_system(make_settings(url)) as system:
        await system.directory(SYSTEM)["users"].create_one(NEW_USER)


async def count_rows_on_postgresql(url):
    connection = await asyncpg.connect(url)
    try:
        return list((await connection.fetch(COUNT_SQL))[0])
    finally:
        await connection.close()


def count_rows(url):
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.partition(":///")[2])) as connection:
            return list(connection.execute(COUNT_SQL).fetchone())
    return asyncio.run(count_rows_on_postgresql(url))


def exit_code_when_killed_at(url, number):
    """Run the create in a forked process and return its exit code, negative if a signal ended it."""
    child = os.fork()
    if child == 0:
        kill_before_statement(number)
        asyncio.run(create(url))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def print_run(exit_code, url):
    sys.stdout.write(json.dumps([exit_code, count_rows(url)]) + "\n")
    sys.stdout.flush()


def main(url):
    print_run(None, url)
    exit_code, number = -signal.SIGKILL, 0
    while exit_code == -signal.SIGKILL:
        number += 1
        exit_code = exit_code_when_killed_at(url, number)
        print_run(exit_code, url)


if __name__ == "__main__":
    main(sys.argv[1])
