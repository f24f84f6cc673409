"""A process killed during a migration: `python -m tests.upgrade.killed_upgrade upgrade|revert|repair URL STEP`.

The process is started again and again, and killed at its first statement, then STEP statements later, and so on until
it finishes. Prints a line for each run: its exit status, and a snapshot of the database.
"""

import asyncio
import json
import os
import signal
import sys

from sqlalchemy import Engine, event

from app.core.config import Settings
from app.db.database import Database
from app.upgrade.inspection import inspect_database
from app.upgrade.repair import repair
from app.upgrade.revert import revert
from app.upgrade.upgrade import upgrade
from tests.upgrade.snapshots import snapshot

OPERATIONS = {
    "upgrade": upgrade,
    "revert": lambda database, progress: revert(database, accept_loss=True, progress=progress),
    "repair": repair,
}


def kill_at(number):
    """Kill this process right before the statement with this number; a commit counts as a statement."""
    remaining = number

    def count(*_):
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


async def migrate(operation, url):
    database = Database.open(Settings(_env_file=None, database_url=url))
    await OPERATIONS[operation](database, lambda *_: None)
    await database.dispose()


def status_when_killed_at(operation, url, number):
    """Run a process that is killed at a statement, and return its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        kill_at(number)
        asyncio.run(migrate(operation, url))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def warm_up(url):
    """Import what every process would import otherwise."""
    database = Database.open(Settings(_env_file=None, database_url=url))
    async with database.transaction() as connection:
        await inspect_database(connection)
    await database.dispose()


def main(operation, url, step):
    asyncio.run(warm_up(url))
    status, number = -signal.SIGKILL, 1 - int(step)
    while status == -signal.SIGKILL:
        number += int(step)
        status = status_when_killed_at(operation, url, number)
        sys.stdout.write(json.dumps([status, asyncio.run(snapshot(url))]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
