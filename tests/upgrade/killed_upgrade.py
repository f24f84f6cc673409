"""A process killed during a migration: `python -m tests.upgrade.killed_upgrade up|down|mend URL STEP`.

It is begun again and again, and killed at the first statement, at one so many after that, and so on to the end.

Prints a line for each time: how it ended, and all there is then in the database.
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
from tests.upgrade.snapshots import picture


def die_at(number):
    """Kills this process right before the statement with that number, or before the commit if that comes then."""
    left = number

    def counted(*_):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", counted)
    event.listen(Engine, "commit", counted)


async def migrate(what, url):
    database = Database.open(Settings(_env_file=None, database_url=url))
    ways = {"up": upgrade, "down": lambda there, told: revert(there, accept_loss=True, progress=told), "mend": repair}
    await ways[what](database, lambda *_: None)
    await database.dispose()


def killed_at(what, url, number):
    """How such a process ends: 0, or the number of the signal that ended it, negative."""
    child = os.fork()
    if child == 0:
        die_at(number)
        asyncio.run(migrate(what, url))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def warm_up(url):
    """Loads what each of the processes would load for itself."""
    database = Database.open(Settings(_env_file=None, database_url=url))
    async with database.transaction() as connection:
        await inspect_database(connection)
    await database.dispose()


def main(what, url, step):
    asyncio.run(warm_up(url))
    ended, number = -signal.SIGKILL, 1 - int(step)
    while ended == -signal.SIGKILL:
        number += int(step)
        ended = killed_at(what, url, number)
        sys.stdout.write(json.dumps([ended, asyncio.run(picture(url))]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
