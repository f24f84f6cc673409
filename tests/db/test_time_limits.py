"""Statements and transactions have time limits; what exceeds one, or is cancelled, is stopped in the database too."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import func, insert, literal, literal_column, select, text

from app.core.errors import ServiceUnavailable
from app.db.database import Database
from app.db.models import ATTEMPTS
from tests.base_data import uid
from tests.conftest import admin_url, make_settings
from tests.db.activity import SOON_SECONDS, active_statements, is_not_cancelled
from tests.db.test_read_pool import COUNT_FOREVER, ONE, slow

READ_LIMIT, WRITE_LIMIT, TRANSACTION_LIMIT = 1.0, 0.4, 0.8
LIMITS = {
    "db_statement_timeout": READ_LIMIT,
    "db_write_statement_timeout": WRITE_LIMIT,
    "db_transaction_timeout": TRANSACTION_LIMIT,
}


@asynccontextmanager
async def opened(url, **overrides):
    database = Database.open(make_settings(url, **{**LIMITS, **overrides}))
    try:
        yield database
    finally:
        await database.dispose()


@pytest.fixture
async def database(writable_db):
    async with opened(writable_db.settings.database_url) as database:
        yield database


@pytest.fixture
async def patient(writable_db):
    """The same database, with limits that no test reaches."""
    async with opened(writable_db.settings.database_url, **dict.fromkeys(LIMITS, 600.0)) as database:
        yield database


async def assert_nothing_runs(database, url):
    """Wait until no statement runs any more: on SQLite, until another write is done."""
    async with asyncio.timeout(SOON_SECONDS):
        if database.dialect == "sqlite":
            await database.run_write(lambda writer: writer.fetch(ONE), exclusive=True)
            return
        while await active_statements(url):  # noqa: ASYNC110  # PostgreSQL sends no event
            await asyncio.sleep(0.05)


def slow_write(database):
    return lambda writer: writer.fetch(slow(database))


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_statement_of_a_write_that_takes_too_long_is_stopped_and_the_next_write_succeeds(database, exclusive):
    with pytest.raises(ServiceUnavailable, match=r"longer than the 0\.4 s allowed"):
        await database.run_write(slow_write(database), exclusive=exclusive)

    assert (await database.run_write(lambda writer: writer.fetch(ONE), exclusive=exclusive))[0] == 1


async def test_a_write_that_takes_too_long_in_all_is_rolled_back_and_others_succeed(database):
    async def work(writer):
        await insert_attempt(writer)
        await asyncio.sleep(60)

    with pytest.raises(ServiceUnavailable, match=r"longer than the 0\.8 s allowed; write less"):
        await database.run_write(work, exclusive=True)

    assert await attempt_count(database) == 0
    assert is_not_cancelled()


async def insert_attempt(writer):
    values = {"subject": uid("attempt"), "count": 1, "expires": literal_column("'2030-01-01T00:00:00Z'")}
    await writer.execute(insert(ATTEMPTS).values(**values))


async def attempt_count(database):
    return (
        await database.run_write(
            lambda writer: writer.fetch(select(func.count()).select_from(ATTEMPTS)), exclusive=True
        )
    )[0]


async def test_a_background_statement_may_take_as_long_as_a_transaction(database):
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable):
        await database.run_write(slow_write(database), exclusive=False, background=True)

    assert time.monotonic() - started >= TRANSACTION_LIMIT


async def test_maintenance_has_no_limit(database):
    wait = "SELECT pg_sleep(1.2)" if database.dialect == "postgresql" else bounded_count(3_000_000)
    async with database.transaction() as connection:
        await connection.execute(text(wait))
        await asyncio.sleep(TRANSACTION_LIMIT)
        assert await connection.scalar(text("SELECT 1")) == 1


def bounded_count(rows):
    return f"{COUNT_FOREVER[1:-1].replace('FROM n)', f'FROM n WHERE i < {rows})')}"


@pytest.mark.parametrize("phase", ["read", "write", "exclusive write", "waiting for the lock"])
async def test_nothing_runs_on_in_the_database_after_a_task_is_cancelled(patient, writable_db, phase):
    url = writable_db.settings.database_url
    async with opened(url, **dict.fromkeys(LIMITS, 600.0)) as other:
        if phase == "read":
            tasks = [asyncio.ensure_future(patient.reader.fetch(slow(patient)))]
        else:
            tasks = [asyncio.ensure_future(patient.run_write(slow_write(patient), exclusive=phase != "write"))]
        await asyncio.sleep(0.3)
        if phase == "waiting for the lock":
            tasks.append(asyncio.ensure_future(other.run_write(slow_write(other), exclusive=True)))
            await asyncio.sleep(0.3)
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        await assert_nothing_runs(patient, url)
        await assert_nothing_runs(other, url)


async def test_a_cancelled_statement_keeps_its_connection(patient):
    if patient.dialect == "sqlite":
        pytest.skip("an SQLite connection has no number to recognize it by")
    process_id = select(func.pg_backend_pid())
    before = [(await patient.reader.fetch(process_id))[0], (await write(patient, process_id))[0]]
    for task in (patient.reader.fetch(slow(patient)), write(patient, slow(patient))):
        with suppress(TimeoutError):
            await asyncio.wait_for(task, 0.3)

    assert [(await patient.reader.fetch(process_id))[0], (await write(patient, process_id))[0]] == before


async def write(database, statement):
    return await database.run_write(lambda writer: writer.fetch(statement), exclusive=True)


async def test_work_after_the_commit_is_done_even_if_the_task_is_cancelled_meanwhile(patient):
    log, task = list[str](), asyncio.Event()

    async def after_commit():
        task.set()
        await asyncio.sleep(0.1)
        log.append("done")

    async def work(writer):
        await insert_attempt(writer)
        writer.after_commit = after_commit

    running = asyncio.ensure_future(patient.run_write(work, exclusive=True))
    await task.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (log, await attempt_count(patient)) == (["done"], 1)


async def test_every_connection_to_postgresql_has_its_time_limits(database):
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no such parameters")
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    statement = select(*(func.current_setting(name) for name in names))
    async with database.transaction() as connection:
        maintenance = tuple((await connection.execute(statement)).one())

    assert tuple(await database.reader.fetch(statement)) == ("1s", "0", "0")
    assert tuple(await write(database, statement)) == ("400ms", "360ms", "10s")
    assert maintenance == ("0", "10s", "0")


PGBOUNCER_PARAMETERS = {"user", "database", "client_encoding", "application_name", "TimeZone", "datestyle"}
"""The parameters of a connection's first message that PgBouncer accepts without any configuration."""


async def test_connections_start_with_parameters_that_pgbouncer_accepts(database, writable_db):
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no pooler")
    async with start_recording_proxy(writable_db.settings.database_url) as (url, starts), opened(url) as pooled:
        await pooled.reader.fetch(ONE)
        await write(pooled, ONE)
        async with pooled.transaction() as connection:
            await connection.scalar(select(literal(1)))

    assert len(starts) == 3
    assert set().union(*starts) <= PGBOUNCER_PARAMETERS


@asynccontextmanager
async def start_recording_proxy(url):
    """A proxy to PostgreSQL that records the names of the parameters with which each connection starts."""
    target, starts = admin_url("postgres").split("@")[1].split("/")[0].split(":"), []

    async def forward(reader, writer):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
        writer.close()

    async def relay(reader, writer):
        first = await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
        server_reader, server_writer = await asyncio.open_connection(*target)
        server_writer.write((len(first) + 4).to_bytes(4) + first)
        starts.append({name.decode() for name in first[4:].rstrip(b"\0").split(b"\0")[::2]})
        await asyncio.gather(forward(reader, server_writer), forward(server_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield url.replace(":".join(target), f"127.0.0.1:{port}") + "?sslmode=disable", starts
    server.close()
