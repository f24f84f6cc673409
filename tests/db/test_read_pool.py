"""What the reader promises: bounded in time and number, read-only, and well again after the database was away."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import func, literal, literal_column, select, text

from app.core.errors import ServiceUnavailable
from app.db.database import Database
from app.db.engine import create_read_engine, parse_url
from app.db.read_pool import ReadPool
from tests.conftest import make_settings

ONE = select(literal(1))
COUNT_FOREVER = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"


@pytest.fixture
async def database(empty_database_url):
    settings = make_settings(
        empty_database_url, db_pool_size=2, db_queue_size=2, db_queue_timeout=0.2, db_statement_timeout=0.6
    )
    opened = Database.open(settings)
    yield opened
    await opened.dispose()


def slow(database):
    return select(func.pg_sleep(60) if database.dialect == "postgresql" else literal_column(COUNT_FOREVER))


async def test_a_statement_that_takes_too_long_is_stopped_and_told_the_limit(database):
    with pytest.raises(ServiceUnavailable, match=r"longer than the 0\.6 s allowed"):
        await database.reader.fetch(slow(database))

    assert (await database.reader.fetch(ONE))[0] == 1


async def test_who_finds_the_queue_full_or_waits_too_long_is_refused(database):
    asked = [database.reader.fetch(slow(database)) for _ in range(6)]
    answers = [str(error) for error in await asyncio.gather(*asked, return_exceptions=True)]

    assert sum("longer than" in answer for answer in answers) == 2
    assert sum("Too many requests" in answer for answer in answers) == 4


async def test_who_gives_up_waiting_takes_no_connection_along(database):
    for _ in range(3):
        asked = [asyncio.create_task(database.reader.fetch(slow(database))) for _ in range(4)]
        await asyncio.sleep(0.05)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    assert [row[0] for row in await asyncio.gather(*(database.reader.fetch(ONE) for _ in range(4)))] == [1] * 4


async def test_the_reader_can_not_write(database):
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE kept (word text)"))
    with pytest.raises((asyncpg.PostgresError, sqlite3.Error)):
        await database.reader.fetch(text("INSERT INTO kept VALUES ('x') RETURNING word"))

    async with database.transaction() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM kept")) == 0


async def test_every_statement_is_counted_once(database):
    for _ in range(3):
        await database.reader.fetch(ONE)

    assert database.reader.statements == 3


async def test_a_fault_of_the_statement_itself_is_raised_as_it_comes(database):
    with pytest.raises((asyncpg.PostgresError, sqlite3.Error)):
        await database.reader.fetch(select(literal_column("no_such_column")))


async def test_connections_that_died_are_replaced_without_anybody_noticing(database, empty_database_url):
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no server that could break a connection")
    await asyncio.gather(*(database.reader.fetch(ONE) for _ in range(4)))
    await end_connections(empty_database_url)

    assert [row[0] for row in await asyncio.gather(*(database.reader.fetch(ONE) for _ in range(4)))] == [1] * 4


async def test_a_database_that_is_away_is_a_503_in_our_words_and_comes_back_by_itself(database, empty_database_url):
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no server that could be away")
    name = empty_database_url.rsplit("/", 1)[1]
    await database.reader.fetch(ONE)
    await on_server(empty_database_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await end_connections(empty_database_url)
    with pytest.raises(ServiceUnavailable) as refused:
        await database.reader.fetch(ONE)
    await on_server(empty_database_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    assert "can't be reached" in str(refused.value)
    assert name not in str(refused.value)
    assert (await database.reader.fetch(ONE))[0] == 1


async def test_a_server_that_says_nothing_more_is_given_up_and_the_next_statement_has_a_new_connection(
    empty_database_url,
):
    if empty_database_url.startswith("sqlite"):
        pytest.skip("SQLite has no server that could hang")
    async with silenceable(empty_database_url) as (url, silence):
        engine = create_read_engine(parse_url(url), 1, 60)
        reader = ReadPool(engine, slots=1, queue=1, patience=1, seconds=0.1, grace=0.1)
        await reader.fetch(ONE)
        silence(True)
        with pytest.raises(ServiceUnavailable) as refused:
            await reader.fetch(ONE)
        silence(False)

        assert "can't be reached" in str(refused.value)
        assert (await reader.fetch(ONE))[0] == 1
        await reader.dispose()


@asynccontextmanager
async def silenceable(url):
    """A way to the server at which it can be cut off without anybody being told."""
    parts, silent = urlsplit(url), False

    def silence(now):
        nonlocal silent
        silent = now

    async def pass_on(reader, writer):
        while piece := await reader.read(65_536):
            if not silent:
                writer.write(piece)
        writer.close()

    async def relay(reader, writer):
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer), return_exceptions=True)

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = f"{parts.username}:{parts.password}@" if parts.password else f"{parts.username}@"
    yield parts._replace(netloc=f"{user}127.0.0.1:{port}").geturl(), silence
    server.close()


async def end_connections(url):
    name = url.rsplit("/", 1)[1]
    await on_server(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


async def on_server(url, statement):
    connection = await asyncpg.connect(url.rsplit("/", 1)[0] + "/postgres")
    await connection.execute(statement)
    await connection.close()
