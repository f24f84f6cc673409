"""`rollcall fields`: lists, adds and drops custom fields."""

from sqlalchemy import text

from tests.base_data import uid
from tests.cli.commands import run_command


async def test_a_field_is_added_listed_and_dropped(writable_db):
    url = writable_db.settings.database_url
    added = await run_command(url, "fields", "add", "users", "phone", "--type", "string", "--length", "32")
    listed = await run_command(url, "fields", "list")
    async with writable_db.database.transaction() as connection:
        await connection.execute(text(f"UPDATE directus_users SET phone = '1' WHERE id = '{uid('ada')}'"))
    refused = await run_command(url, "fields", "drop", "users", "phone")
    dropped = await run_command(url, "fields", "drop", "users", "phone", "--yes")
    empty = await run_command(url, "fields", "list", "users")

    assert (added.code, added.out) == (0, "Added users.phone (string).\n")
    assert (listed.code, listed.out) == (0, "users\tphone\tstring\n")
    assert (refused.code, refused.out) == (1, "This loses 1 value of users.phone for good.\n")
    assert "Add --yes to drop it." in refused.err
    assert (dropped.code, dropped.out) == (0, "Dropped users.phone; 1 value lost.\n")
    assert (empty.code, empty.out, empty.err) == (0, "", "There are no custom fields.\n")


async def test_a_field_is_added_with_all_that_the_options_say(writable_db):
    url = writable_db.settings.database_url
    options = ("--default", "7", "--note", "Desk", "--unique", "--indexed")
    refused = await run_command(url, "fields", "add", "users", "desk", "--type", "integer", *options)
    added = await run_command(url, "fields", "add", "users", "desk", "--type", "integer", *options[2:])
    secret = await run_command(url, "fields", "add", "users", "pin", "--type", "hash", "--special", "hash,conceal")
    async with writable_db.database.transaction() as connection:
        rows = (await connection.execute(text("SELECT field, special, note FROM directus_fields ORDER BY id"))).all()

    assert refused.code == 1, "all rows would have the same value"
    assert (added.code, secret.code) == (0, 0)
    assert [tuple(row) for row in rows] == [("desk", None, "Desk"), ("pin", "hash,conceal", None)]


async def test_an_error_is_one_line_that_says_what_is_wrong(readonly_db):
    url = readonly_db.settings.database_url
    results = [
        await run_command(url, "fields", *arguments)
        for arguments in (
            ("add", "users", "phone", "--type", "money"),
            ("add", "users", "email", "--type", "string"),
            ("add", "nothing", "phone", "--type", "string"),
            ("drop", "users", "email", "--yes"),
        )
    ]

    assert [(result.code, result.out, result.err.count("\n")) for result in results] == [(1, "", 1)] * 4
    assert '"type" must be one of' in results[0].err
    assert "already exists" in results[1].err
    assert "built in" in results[3].err
