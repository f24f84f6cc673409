"""`rollcall users delete` says what refers to a user, asks, and deletes the user."""

from app.core.caller import SYSTEM
from tests.base_data import uid
from tests.cli.commands import run_command
from tests.deletion.database import content


async def test_the_command_lists_references_asks_and_deletes(blocked):
    url, before = blocked.settings.database_url, await content(blocked)
    dry = await run_command(url, "users", "delete", "vi@example.com", "--dry-run", "--reassign-to=SAM@example.com")
    refused = await run_command(url, "users", "delete", "vi@example.com")
    rejected = await run_command(url, "users", "delete", "vi@example.com", "--yes")
    unchanged = await content(blocked) == before
    deleted = await run_command(url, "users", "delete", "vi@example.com", "--reassign-to=sam@example.com", "--yes")

    assert (dry.code, dry.err) == (0, "")
    assert "contracts.Owner\t2\tmoved\n" in dry.out
    assert "contracts.Owner\t2\tkeep the user from being deleted\n" in refused.out
    assert (refused.code, "Add --yes" in refused.err) == (1, True)
    assert (rejected.code, '"contracts"."Owner" (2)' in rejected.err) == (1, True)
    assert unchanged
    assert (deleted.code, deleted.out) == (0, "Deleted vi@example.com.\n")
    assert await blocked.directory(SYSTEM)["users"].count({"filter": {"id": {"_eq": uid("vi")}}}) == 0


async def test_an_unknown_address_is_an_error(readonly_db):
    url = readonly_db.settings.database_url
    unknown = await run_command(url, "users", "delete", "no-one@example.com", "--yes")
    target = await run_command(url, "users", "delete", "vi@example.com", "--reassign-to=no-one@example.com", "--yes")

    for result in (unknown, target):
        assert (result.code, result.err) == (
            1,
            "rollcall: There is no user with the email address no-one@example.com.\n",
        )
