"""A database error ends a command with one line that names the error, and never with the driver's own words."""

import sqlite3

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from app.cli.database_errors import no_tables_message, operator_error
from app.core.errors import ServiceUnavailable
from app.db.base import POSTGRESQL
from app.db.driver_errors import DATABASE_UNAVAILABLE
from app.testing import TestSystem
from tests.cli.commands import CommandResult, run_command, run_process
from tests.compat.replay import free_port
from tests.conftest import HAS_POSTGRESQL, admin_url

needs_postgresql = pytest.mark.skipif(not HAS_POSTGRESQL, reason="no PostgreSQL server answers")

POSTGRESQL_URL = make_url("postgresql+asyncpg://ada:hunter2@db.example:6543/rollcall")
SQLITE_URL = make_url("sqlite+aiosqlite:///data/rollcall.db")
SECRET = "hunter2"
FAIL = {  # makes every update of a user fail, with a value in the driver's message
    "postgresql": (
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{SECRET}' USING ERRCODE = '53100', DETAIL = '{SECRET}'; END $$
        """,
        "CREATE TRIGGER fail BEFORE UPDATE ON directus_users FOR EACH ROW EXECUTE FUNCTION fail()",
    ),
    "sqlite": (
        f"CREATE TRIGGER fail BEFORE UPDATE ON directus_users BEGIN SELECT json('{SECRET}'); END",  # not JSON
    ),
}


async def execute(system: TestSystem, *statements: str) -> None:
    async with system.database.transaction() as connection:
        for statement in statements:
            await connection.execute(text(statement))


def is_one_line(result: CommandResult, line: str) -> bool:
    return result == (1, "", f"rollcall: {line}\n")


COMMANDS = [("users", "list"), ("users", "create", "new@example.com"), ("token", "ada@example.com"), ("quickstart",)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_a_database_without_tables_is_reported_with_the_command_that_creates_them(empty_database_url, command):
    result = await run_command(empty_database_url, *command, stdin="correct horse, again")

    assert is_one_line(
        result,
        f"The database {make_url(empty_database_url).database} has no Rollcall tables. "
        "Run `rollcall bootstrap` first, or correct DATABASE_URL.",
    )


async def test_a_missing_column_is_not_reported_as_missing_tables(writable_db):
    await execute(writable_db, "ALTER TABLE directus_users RENAME COLUMN status TO state")
    result = await run_command(writable_db.settings.database_url, "token", "ada@example.com")
    native = writable_db.database.dialect == POSTGRESQL

    assert is_one_line(result, f"Database error {'42703 (undefined column)' if native else '1 (SQLITE_ERROR)'}.")


async def test_a_failing_write_is_reported_without_the_drivers_words(writable_db):
    dialect = writable_db.database.dialect
    await execute(writable_db, *FAIL[dialect])
    result = await run_command(writable_db.settings.database_url, "users", "suspend", "vi@example.com")

    error = "53100 (disk full)" if dialect == POSTGRESQL else "1 (SQLITE_ERROR)"
    assert is_one_line(result, f"Database error {error}.")


def assert_reported(result: CommandResult, start: str) -> None:
    assert result.code == 1
    assert result.err.startswith(f"rollcall: {start}")
    assert len(result.err.splitlines()) == 1
    assert SECRET not in result.err


async def test_an_unreachable_server_is_reported_with_address_database_and_reason():
    port = free_port()
    refused = await run_command(f"postgresql://ada:{SECRET}@127.0.0.1:{port}/rollcall", "users", "list")
    unknown = await run_command(f"postgresql://ada:{SECRET}@nowhere.invalid/rollcall", "users", "list")

    at = f"The database rollcall at host 127.0.0.1, port {port} can't be reached: the connection was refused."
    assert_reported(refused, at)
    at = "The database rollcall at host nowhere.invalid, port 5432 can't be reached: the host is unknown. Correct"
    assert_reported(unknown, at)


async def test_a_file_that_cannot_be_opened_or_is_no_database_is_reported(tmp_path):
    folder = await run_command(f"sqlite:///{tmp_path}", "users", "list")
    (tmp_path / "text.db").write_text(f"{SECRET} " * 1_000)
    garbage = await run_command(f"sqlite:///{tmp_path}/text.db", "users", "list")
    below_file = await run_command(f"sqlite:///{tmp_path}/text.db/a.db", "users", "list")

    assert_reported(below_file, f"The database file {tmp_path}/text.db/a.db cannot be created: a part of its path")
    assert is_one_line(folder, f"{tmp_path} is a directory. DATABASE_URL must name a file.")
    assert is_one_line(garbage, f"The file {tmp_path}/text.db is not an SQLite database. Correct DATABASE_URL.")


@needs_postgresql
async def test_a_server_without_the_database_is_reported_with_its_name():
    result = await run_command(admin_url("no_such_database"), "users", "list")

    assert_reported(result, "The database no_such_database at host ")
    assert "can't be reached: the server has no such database. Create it" in result.err


async def test_the_installed_command_prints_no_traceback(empty_database_url):
    """What a test patches in this process could hide one."""
    env = {"DATABASE_URL": empty_database_url, "SECRET": "a secret that only tests know and use", "PYTHONPATH": "."}
    result = await run_process("users", "list", **env)

    assert is_one_line(result, no_tables_message(make_url(empty_database_url)))


def sqlite_error(message: str, code: int | None = None, name: str = "") -> sqlite3.Error:
    error = sqlite3.OperationalError(message)
    if code is not None:
        error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


def postgresql_error(sqlstate: str) -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": sqlstate, "M": SECRET, "D": SECRET})


UNREACHABLE = "The database rollcall at host db.example, port 6543 can't be reached: "
FILE_NOT_OPENED = "The database file data/rollcall.db can't be opened."
ERRORS = [
    (postgresql_error("42P01"), no_tables_message(POSTGRESQL_URL)),
    (postgresql_error("40P01"), "Database error 40P01 (deadlock detected)."),
    (postgresql_error("25006"), "Database error 25006 (read only sql transaction)."),
    (postgresql_error("28P01"), f"{UNREACHABLE}the server knows no such user with this password. Correct the user"),
    (postgresql_error("3D000"), f"{UNREACHABLE}the server has no such database. Create it"),
    (postgresql_error("58030"), "Database error 58030 (io)."),
    (postgresql_error("XY123"), "Database error XY123."),
    (postgresql_error("08006"), UNREACHABLE),
    (asyncpg.InterfaceError(SECRET), UNREACHABLE),
    (ConnectionRefusedError(SECRET), f"{UNREACHABLE}the connection was refused."),
    (OSError(SECRET), f"{UNREACHABLE}no connection was made."),
    (sqlite_error("no such table: directus_users", 1, "SQLITE_ERROR"), no_tables_message(SQLITE_URL)),
    (sqlite_error(SECRET, 779, "SQLITE_CORRUPT_INDEX"), "Database error 779 (SQLITE_CORRUPT_INDEX)."),
    (sqlite_error(SECRET, 1038, "SQLITE_CANTOPEN_FULLPATH"), FILE_NOT_OPENED),
    (sqlite_error(SECRET), "Database error (OperationalError)."),
]


@pytest.mark.parametrize(("error", "message"), ERRORS)
def test_the_drivers_error_is_found_behind_the_one_that_replaced_it(error, message):
    url = SQLITE_URL if isinstance(error, sqlite3.Error) else POSTGRESQL_URL
    wrapped, replaced = DBAPIError(None, None, error), ServiceUnavailable(DATABASE_UNAVAILABLE)
    wrapped.__cause__ = replaced.__context__ = error
    described = [operator_error(wrapped, url), operator_error(replaced, url)]

    assert [str(each).startswith(message) for each in described] == [True, True]
    assert SECRET not in "".join(map(str, described))


ADDRESSES = {
    "postgresql+asyncpg://ada:hunter2@[::1]:77/x": "at host ::1, port 77 ",
    "postgresql+asyncpg:///x": "at host localhost, port 5432 ",
    "postgresql+asyncpg:///x?host=/run/postgresql": "at host /run/postgresql, port 5432 ",
    "postgresql+asyncpg:///x?host=a:1&host=b:2": "at host a, b, port 1, 2 ",
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_the_address_is_the_one_the_driver_connects_to(url):
    assert ADDRESSES[url] in str(operator_error(asyncpg.InterfaceError(SECRET), make_url(url)))


@pytest.mark.parametrize("error", [ServiceUnavailable("Something else"), ValueError(), FileNotFoundError()])
def test_other_errors_are_left_alone(error):
    assert operator_error(error, POSTGRESQL_URL) is None
