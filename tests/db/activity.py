"""What is running: statements in a database on PostgreSQL, and the current task."""

import asyncio

import asyncpg

from tests.conftest import admin_url

SOON_SECONDS = 5
"""How long a busy machine may need for what takes milliseconds on an idle one; statements in tests take far longer."""


async def active_statements(url):
    """The statements that run on a database on PostgreSQL, or wait there for a lock or for their client."""
    observer = await asyncpg.connect(admin_url("postgres"), statement_cache_size=0)  # as it may lead to a pooler
    try:
        query = "SELECT query FROM pg_stat_activity WHERE datname = $1 AND state <> 'idle'"
        return [row["query"] for row in await observer.fetch(query, url.rpartition("/")[2])]
    finally:
        await observer.close()


def is_not_cancelled():
    """Whether the current task is free to go on, without a cancellation that is only suppressed."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() == 0
