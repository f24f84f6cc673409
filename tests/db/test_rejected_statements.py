"""What the driver or the database rejects is the request's fault: the error says so, and the connection stays."""

import pytest

from app.core.errors import InvalidPayload, InvalidQuery
from app.db.driver_errors import INVALID_VALUE, STATEMENT_TOO_LARGE
from app.db.statement import CompiledStatement


def statement(text, *values):
    return CompiledStatement(text, values, values, ())


def in_list(count, placeholder):
    values = ", ".join(placeholder.format(number) for number in range(1, count + 1))
    return statement(f"SELECT 1 WHERE 1 IN ({values})", *range(count))


CASES = {
    "postgresql": {
        "more parameters than asyncpg sends": (in_list(33_500, "CAST(${} AS int)"), STATEMENT_TOO_LARGE),
        "an expression nested too deeply": (statement(f"SELECT {'NOT ' * 9_000}true"), STATEMENT_TOO_LARGE),
        "too many result columns": (statement(f"SELECT {', '.join('1' * 2_000)}"), STATEMENT_TOO_LARGE),
        "a text that is too long": (statement("SELECT repeat('x', 2000000000)"), STATEMENT_TOO_LARGE),
        "an integer outside of its range": (statement("SELECT CAST($1 AS int)", 2**70), INVALID_VALUE),
        "a value of another type": (statement("SELECT CAST($1 AS int)", "x"), INVALID_VALUE),
        "a result outside of its range": (statement("SELECT 2000000000 + CAST($1 AS int)", 2**30), INVALID_VALUE),
        "a character that PostgreSQL can't store": (statement("SELECT CAST($1 AS text)", "\0"), INVALID_VALUE),
    },
    "sqlite": {
        "more parameters than SQLite accepts": (in_list(260_000, "?"), STATEMENT_TOO_LARGE),
        "an expression of too many parts": (statement(f"SELECT {'1 OR ' * 1_001}1"), STATEMENT_TOO_LARGE),
        "an expression nested too deeply": (statement(f"SELECT {'(' * 100}1{')' * 100}"), STATEMENT_TOO_LARGE),
        "too many result columns": (statement(f"SELECT {', '.join('1' * 2_001)}"), STATEMENT_TOO_LARGE),
        "too many sort keys": (statement(f"SELECT 1 ORDER BY {', '.join(['+1'] * 2_001)}"), STATEMENT_TOO_LARGE),
        "a text that is too long": (statement("SELECT length(zeroblob(1000000001))"), STATEMENT_TOO_LARGE),
        "an integer of more than 64 bits": (statement("SELECT ?", 2**70), INVALID_VALUE),
        "a value of an unknown type": (statement("SELECT ?", object()), INVALID_VALUE),
        "a result outside of its range": (statement("SELECT abs(-9223372036854775808)"), INVALID_VALUE),
    },
}


@pytest.mark.parametrize("name", list(dict.fromkeys(name for cases in CASES.values() for name in cases)))
async def test_a_rejected_statement_is_the_requests_fault_and_its_connection_stays(database, name):
    rejected, reason = CASES[database.dialect].get(name, (None, None))
    if rejected is None:
        pytest.skip("not with this database")
    before = await connections(database)
    with pytest.raises(InvalidQuery) as read_error:
        await database.reader.fetch_one(rejected)
    with pytest.raises(InvalidPayload) as write_error:
        await database.run_write(lambda writer: writer.fetch_one(rejected), exclusive=True)

    assert (read_error.value.reason, write_error.value.reason) == (reason, reason)
    assert await connections(database) == before


@pytest.fixture
def database(scratch_db):
    return scratch_db.database


async def connections(database):
    """The open connections of both pools; there are some."""
    one = statement("SELECT 1")
    await database.reader.fetch_one(one)
    await database.run_write(lambda writer: writer.fetch_one(one), exclusive=True)
    reading = [slot.connection for slot in database.reader._slots.free if slot.connection]
    return {id(connection) for connection in (*reading, *database._write_pool._idle)}
