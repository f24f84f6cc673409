"""`rollcall migrate down`: lists what it drops and asks before it does."""

import pytest
from sqlalchemy import inspect

from tests.cli.commands import run_command


async def tables(system) -> set[str]:
    async with system.database.transaction() as connection:
        return set(await connection.run_sync(lambda sync_connection: inspect(sync_connection).get_table_names()))


async def test_without_a_terminal_nothing_is_dropped_unless_confirmed_by_an_option(writable_db):
    url, before = writable_db.settings.database_url, await tables(writable_db)
    refused = await run_command(url, "migrate", "down", "base", "--force")
    after = await tables(writable_db)
    accepted = await run_command(url, "migrate", "down", "base", "--force", "--yes")

    assert (refused.code, refused.out.splitlines()[0]) == (1, "This drops:")
    assert "table directus_users (" in refused.out
    assert refused.err == "rollcall: Nothing was changed: this needs a confirmation. Add --yes to drop them.\n"
    assert after == before
    assert (accepted.code, accepted.out) == (0, refused.out)
    assert not await tables(writable_db) & before


async def test_without_force_lost_rows_are_an_error_before_the_question(writable_db):
    result = await run_command(writable_db.settings.database_url, "migrate", "down", "base")

    assert (result.code, result.out.splitlines()[0]) == (1, "This drops:")
    assert result.err.endswith("export them first, then add --force.\n")
    assert "confirmation" not in result.err


async def test_the_list_names_each_dropped_table_with_its_rows(writable_db):
    result = await run_command(writable_db.settings.database_url, "migrate", "down", "base")
    async with writable_db.database.transaction() as connection:
        (users,) = (await connection.exec_driver_sql("SELECT count(*) FROM directus_users")).one()

    assert f"table directus_users ({users} rows)" in result.out.splitlines()
    assert "table rollcall_version (1 row)" in result.out.splitlines()


@pytest.mark.parametrize("options", [(), ("--yes",)])
async def test_an_unknown_revision_is_rejected(writable_db, options):
    result = await run_command(writable_db.settings.database_url, "migrate", "down", "0000", *options)

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("rollcall: There is no such revision")
