"""How many connections a busy process opens: as many as the documentation says, on both databases."""

import asyncio
import re
import sys
from collections.abc import Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import func, literal, literal_column, select

from app.core.config import Settings
from app.db.database import Database
from tests.conftest import admin_url, make_settings

POOL_SIZE = 12
CLIENTS = 2 * POOL_SIZE
README = Path(__file__).parents[2] / "README.md"
COUNT_FOREVER = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"


@asynccontextmanager
async def busy_process(settings):
    """A process' database with more reads, writes and transactions running than it has connections for."""
    database = Database.open(settings)
    finished = asyncio.Event()
    slow = select(func.pg_sleep(60) if database.dialect == "postgresql" else literal_column(COUNT_FOREVER))

    async def write(writer):
        await writer.fetch(select(literal(1)))
        await finished.wait()

    async def transaction():
        async with database.transaction():
            await finished.wait()

    work: list[Awaitable[object]] = []
    for _ in range(CLIENTS):
        work += [database.reader.fetch(slow), transaction()]
        work += [database.run_write(write, exclusive=exclusive) for exclusive in (True, False)]
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.dispose()


async def settled(count):
    """A count, once it has stayed the same for half a second."""
    last, unchanged = await count(), 0
    async with asyncio.timeout(20):
        while unchanged < 10:
            await asyncio.sleep(0.05)
            before, last = last, await count()
            unchanged = unchanged + 1 if before == last else 0
    return last


async def test_a_busy_process_opens_as_many_connections_to_postgresql_as_documented(writable_db):
    if writable_db.database.dialect != "postgresql":
        pytest.skip("counts connections to PostgreSQL")
    url = writable_db.settings.database_url
    observer = await asyncpg.connect(admin_url("postgres"))
    statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"

    async def count():
        return await observer.fetchval(statement, url.rpartition("/")[2])

    before = await settled(count)
    async with busy_process(make_settings(url, db_pool_size=POOL_SIZE, db_statement_timeout=60)):
        opened = await settled(count) - before
    await observer.close()

    assert opened == POOL_SIZE + 14


def open_files():
    """The files this process has open, each as often as it has."""
    return [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]


async def test_a_busy_process_opens_as_many_connections_to_sqlite_as_documented(writable_db):
    if writable_db.database.dialect != "sqlite" or sys.platform != "linux":
        pytest.skip("counts open files where Linux shows them")
    url = writable_db.settings.database_url

    async def count():
        return open_files().count(url.partition(":///")[2])

    before = await settled(count)
    async with busy_process(make_settings(url, db_pool_size=POOL_SIZE, db_statement_timeout=60)):
        opened = await settled(count) - before

    assert opened == 5


def test_the_documentation_says_how_many():
    setting = Settings.model_fields["db_pool_size"]
    pages = [README, *README.parent.glob("docs/**/*.md")]
    text = re.sub(r"\s+", " ", " ".join(page.read_text() for page in pages))

    assert "at most 14 others; on SQLite it opens at most 3 for reads and 2" in str(setting.description)
    assert {(14, setting.default + 14)} == {
        (int(more), int(total))
        for more, total in re.findall(r"`DB_POOL_SIZE` \+ (\d+) connections, (\d+) by default", text)
    }
