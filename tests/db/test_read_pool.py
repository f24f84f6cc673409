"""The read pool is bounded in time and number, cannot write, and recovers after the database was unavailable."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import func, literal, literal_column, select, text

from app.core.errors import ServiceUnavailable
from app.db import read_pool
from app.db.database import Database
from app.db.database_url import parse_url
from app.db.engine import create_read_engine
from app.db.read_pool import ReadPool
from tests.conftest import HAS_POSTGRESQL, admin_url, make_settings
from tests.logs import captured_logs

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


async def test_a_statement_that_takes_too_long_is_stopped_and_the_error_names_the_limit(database):
    with pytest.raises(ServiceUnavailable, match=r"longer than the 0\.6 s allowed"):
        await database.reader.fetch(slow(database))

    assert (await database.reader.fetch(ONE))[0] == 1


async def test_a_statement_that_finds_the_queue_full_or_waits_too_long_is_rejected(database):
    running = [database.reader.fetch(slow(database), owner="eve") for _ in range(6)]
    errors = [str(error) for error in await asyncio.gather(*running, return_exceptions=True)]

    assert sum("longer than" in error for error in errors) == 2
    assert sum("Too many requests" in error for error in errors) == 4


async def test_an_owner_with_slow_statements_runs_few_of_them_and_others_are_not_limited(empty_database_url):
    settings = make_settings(empty_database_url, db_pool_size=8, db_queue_timeout=0.5, db_statement_timeout=0.6)
    opened = Database.open(settings)
    try:
        first = asyncio.ensure_future(opened.reader.fetch(slow(opened), owner="eve"))
        await asyncio.sleep(read_pool.SLOW_SECONDS + 2 * read_pool.SLOW_CHECK_SECONDS)
        before = opened.reader.statements
        second = asyncio.ensure_future(opened.reader.fetch(ONE, owner="eve"))
        await asyncio.sleep(0)
        assert opened.reader.statements == before
        assert (await opened.reader.fetch(ONE, owner="ada"))[0] == 1

        await asyncio.gather(first, return_exceptions=True)
        assert (await second)[0] == 1
    finally:
        await opened.dispose()


async def test_cancelled_statements_lose_no_connection(database):
    for _ in range(3):
        tasks = [asyncio.create_task(database.reader.fetch(slow(database))) for _ in range(4)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert [row[0] for row in await asyncio.gather(*(database.reader.fetch(ONE) for _ in range(2)))] == [1] * 2


async def test_the_read_pool_cannot_write(database):
    async with database.transaction() as connection:
        await connection.execute(text("CREATE TABLE words (word text)"))
    with pytest.raises((asyncpg.PostgresError, sqlite3.Error)):
        await database.reader.fetch(text("INSERT INTO words VALUES ('x') RETURNING word"))

    async with database.transaction() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM words")) == 0


async def test_every_statement_is_counted_once(database):
    for _ in range(3):
        await database.reader.fetch(ONE)

    assert database.reader.statements == 3


async def test_an_error_of_the_statement_itself_is_raised_as_it_is(database):
    with pytest.raises((asyncpg.PostgresError, sqlite3.Error)):
        await database.reader.fetch(select(literal_column("no_such_function()")))


async def test_dead_connections_are_replaced_without_an_error(database, empty_database_url):
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no server that could break a connection")
    await asyncio.gather(*(database.reader.fetch(ONE) for _ in range(4)))
    await terminate_connections(empty_database_url)

    assert [row[0] for row in await asyncio.gather(*(database.reader.fetch(ONE) for _ in range(4)))] == [1] * 4


async def test_an_unreachable_database_is_a_503_without_its_name_and_reads_recover_by_themselves(
    database, empty_database_url
):
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no server that could be unreachable")
    name = empty_database_url.rsplit("/", 1)[1]
    await database.reader.fetch(ONE)
    await execute_on_server(empty_database_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await terminate_connections(empty_database_url)
    with pytest.raises(ServiceUnavailable) as error:
        await database.reader.fetch(ONE)
    await execute_on_server(empty_database_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    assert "database is unavailable" in str(error.value)
    assert name not in str(error.value)
    assert (await database.reader.fetch(ONE))[0] == 1


async def test_a_connection_to_a_silent_server_is_abandoned_and_the_next_statement_gets_a_new_one(empty_database_url):
    if empty_database_url.startswith("sqlite"):
        pytest.skip("SQLite has no server that could hang")
    async with silenceable_proxy(empty_database_url) as (url, silence):
        engine = create_read_engine(parse_url(url), 1, 60)
        reader = ReadPool(engine, size=1, reserved=0, max_waiting=1, queue_timeout=1, statement_timeout=0.1, grace=0.1)
        await reader.fetch(ONE)
        silence(True)
        with pytest.raises(ServiceUnavailable) as error:
            await reader.fetch(ONE)
        silence(False)

        assert "database is unavailable" in str(error.value)
        assert (await reader.fetch(ONE))[0] == 1
        await reader.dispose()


@asynccontextmanager
async def silenceable_proxy(url):
    """A proxy to the server that can swallow all traffic while its connections stay open."""
    parts, is_silent = urlsplit(url), False

    def silence(value):
        nonlocal is_silent
        is_silent = value

    async def forward(reader, writer):
        while chunk := await reader.read(65_536):
            if not is_silent:
                writer.write(chunk)
        writer.close()

    async def relay(reader, writer):
        server_reader, server_writer = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(forward(reader, server_writer), forward(server_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = f"{parts.username}:{parts.password}@" if parts.password else f"{parts.username}@"
    yield parts._replace(netloc=f"{user}127.0.0.1:{port}").geturl(), silence
    server.close()


async def terminate_connections(url):
    name = url.rsplit("/", 1)[1]
    await execute_on_server(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


async def execute_on_server(url, statement):
    connection = await asyncpg.connect(url.rsplit("/", 1)[0] + "/postgres")
    await connection.execute(statement)
    await connection.close()


@pytest.mark.skipif(not HAS_POSTGRESQL, reason="no PostgreSQL server answers")
async def test_the_log_names_the_drivers_error_of_a_failed_connection():
    database = Database.open(make_settings(admin_url("no_such_database")))
    with captured_logs(read_pool) as lines, pytest.raises(ServiceUnavailable):
        await database.reader.fetch(ONE)
    await database.dispose()

    assert [(line["event"], line["error"]) for line in lines] == [("database_unavailable", "InvalidCatalogNameError")]


async def test_postgresql_may_run_a_statement_in_parallel(writable_db):
    if writable_db.database.dialect != "postgresql":
        pytest.skip("SQLite runs a statement in one thread")
    name = writable_db.settings.database_url.rpartition("/")[2]
    process = (
        "CREATE FUNCTION process() RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS 'BEGIN RETURN pg_backend_pid(); END'"
    )
    async with writable_db.database.transaction() as connection:
        await connection.execute(text(process))
        for setting in ("min_parallel_table_scan_size", "parallel_setup_cost", "parallel_tuple_cost"):
            await connection.execute(text(f"ALTER DATABASE {name} SET {setting} = 0"))
        await connection.execute(text(f"ALTER DATABASE {name} SET parallel_leader_participation = off"))
    reader = writable_db.database.reader
    await reader.dispose()
    by_others = (
        "SELECT bool_and(process <> pg_backend_pid()) FROM (SELECT process() FROM directus_users OFFSET 0) AS rows"
    )

    assert (await reader.fetch(text(by_others)))[0]
