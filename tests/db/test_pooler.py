"""Behind a pooler in transaction mode, no state of a session is used: neither prepared statements nor parameters."""

from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, select, text

from app.db.connection_budget import connection_shortage
from app.db.database import Database
from app.db.driver_errors import StatementTimeout
from tests.conftest import HAS_POSTGRESQL, admin_url, make_settings

pytestmark = pytest.mark.skipif(not HAS_POSTGRESQL, reason="a pooler is in front of PostgreSQL")

PREPARED = text("SELECT count(*) FROM pg_prepared_statements")
LIMITS = text(
    "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),"
    " current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_read_only')"
)
SERVER_LIMITS = ("0", "0", "0", "off")


@asynccontextmanager
async def opened(**overrides):
    database = Database.open(make_settings(admin_url("postgres"), **overrides))
    try:
        yield database
    finally:
        await database.dispose()


async def write(database, statement):
    return tuple(await database.run_write(lambda writer: writer.fetch(statement), exclusive=False))


async def count_prepared(database):
    """How many statements each kind of connection has prepared, after three statements."""
    async with database.transaction() as connection:
        maintenance = [(await connection.execute(PREPARED)).scalar() for _ in range(3)]
    reads = [(await database.reader.fetch(PREPARED))[0] for _ in range(3)]
    writes = [(await write(database, PREPARED))[0] for _ in range(3)]
    return reads[-1], writes[-1], maintenance[-1]


async def test_no_statement_is_prepared_under_a_name():
    async with opened(db_pooler="transaction") as database:
        assert await count_prepared(database) == (0, 0, 0)
    async with opened() as database:
        assert min(await count_prepared(database)) > 0


async def test_transactions_set_their_limits_for_themselves():
    async with opened(db_pooler="transaction", db_write_statement_timeout=4) as database:
        async with database.transaction() as connection:
            maintenance = tuple((await connection.execute(LIMITS)).one())

        assert await write(database, LIMITS) == ("4s", "3600ms", "10s", "off")
        assert maintenance == ("0", "10s", "0", "off")


async def test_the_session_keeps_the_parameters_of_the_server():
    async with opened(db_pooler="transaction") as database:
        assert tuple(await database.reader.fetch(LIMITS)) == SERVER_LIMITS


async def test_a_slow_read_is_stopped_without_the_servers_limit():
    async with opened(db_pooler="transaction", db_statement_timeout=0.1) as database:
        with pytest.raises(StatementTimeout):
            await database.reader.fetch(select(func.pg_sleep(20)))

        assert (await database.reader.fetch(select(func.pg_backend_pid())))[0]


async def test_more_connections_than_the_server_accepts_are_reported_unless_a_pooler_limits_them():
    async with opened() as database:
        few = await connection_shortage(database, make_settings(admin_url("postgres"), db_pool_size=1), 1)
        many = await connection_shortage(database, make_settings(admin_url("postgres"), db_pool_size=100), 100)
        pooled = make_settings(admin_url("postgres"), db_pool_size=100, db_pooler="transaction")

        assert few is None
        assert many is not None
        assert "this server may open 11500. Raise max_connections" in many
        assert await connection_shortage(database, pooled, 100) is None
