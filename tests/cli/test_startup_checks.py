"""`rollcall serve` starts only at a free address and on a database of its version."""

import socket

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import make_url

from app.db.alembic_runner import _config
from app.db.migrate import MIGRATIONS, current_revision, migrate_down, newest_revision
from tests.cli.commands import run_command
from tests.compat.replay import free_port


async def test_serve_refuses_a_database_that_was_never_bootstrapped(empty_database_url):
    result = await run_command(empty_database_url, "serve", "--port", str(free_port()))

    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"rollcall: The database {make_url(empty_database_url).database} has no Rollcall tables. "
        "Run `rollcall bootstrap` first, or correct DATABASE_URL.\n"
    )


async def test_serve_refuses_a_database_that_lacks_migrations_and_names_both_revisions(writable_db):
    await migrate_down(writable_db.database, "0005", force=True)
    result = await run_command(writable_db.settings.database_url, "serve", "--port", str(free_port()))

    assert result.code == 1
    assert result.err == (
        f"rollcall: The database is at revision 0005, but this version needs {newest_revision()}. "
        "Run `rollcall bootstrap` first.\n"
    )


@pytest.mark.parametrize("command", [("serve",), ("quickstart", "--serve")], ids=" ".join)
async def test_a_port_in_use_is_reported_before_anything_else(command, empty_database_url, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        result = await run_command(empty_database_url, *command)

    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"rollcall: 127.0.0.1, port {port}, is in use by another program. "
        "Stop it, or choose another port with --port or PORT.\n"
    )


@pytest.mark.parametrize(
    ("host", "reason"), [("nowhere.invalid", "is an unknown host"), ("192.0.2.1", "is no address of this machine")]
)
async def test_a_host_that_cannot_be_listened_on_is_reported(host, reason, empty_database_url):
    result = await run_command(empty_database_url, "serve", "--host", host)

    assert result.code == 1
    assert result.err.startswith(f"rollcall: {host}")
    assert reason in result.err


async def test_the_newest_revision_is_that_of_the_migrations(readonly_db):
    async with readonly_db.database.transaction() as connection:
        head = await connection.run_sync(
            lambda sync_connection: ScriptDirectory.from_config(_config(sync_connection, MIGRATIONS)).get_current_head()
        )

    assert await current_revision(readonly_db.database) == newest_revision() == head
