"""API tokens are managed on the command line."""

import re

from tests.api_tokens.tokens import caller_with, create_token
from tests.base_data import uid
from tests.cli.commands import run_command

ED = "ed@example.com"


async def test_the_operator_creates_lists_and_revokes_a_token(system):
    url = system.settings.database_url
    options = ("--policy", "Staff", "--read-only", "--expires", "2099-01-01", "--ip", "192.0.2.0/24")
    created = await run_command(url, "users", "tokens", "create", ED, "Nightly report", *options)
    secret = re.fullmatch(r"API token \(shown only once\): (rollcall_\w{43})\n", created.out)
    assert secret, created
    used = await system.execute("{ users_me { id } }", caller=caller_with(secret[1]))
    listed = await run_command(url, "users", "tokens", "list", ED)
    (line,) = [line for line in listed.out.splitlines() if "Nightly report" in line]
    revoked = await run_command(url, "users", "tokens", "revoke", ED, line.split("\t")[0])

    assert used.data == {"users_me": {"id": uid("ed")}}
    assert line.split("\t")[2:] == [
        "expires 2099-01-01T00:00:00.000Z",
        "never used",
        "read-only, policies: 1, 192.0.2.0/24",
    ]
    assert revoked.out.startswith("Revoked ")
    assert (await system.execute("{ users_me { id } }", caller=caller_with(secret[1]))).data is None


async def test_the_command_line_says_what_is_wrong(system):
    url = system.settings.database_url
    no_user = await run_command(url, "users", "tokens", "list", "nobody@example.com")
    no_policy = await run_command(url, "users", "tokens", "create", ED, "x", "--policy", "Nothing")
    not_held = await run_command(url, "users", "tokens", "create", ED, "x", "--policy", "Office")
    no_token = await run_command(url, "users", "tokens", "revoke", ED, uid("nothing"))

    assert [one.code for one in (no_user, no_policy, not_held, no_token)] == [1] * 4
    assert "There is no user with the email address" in no_user.err
    assert "There is no policy named Nothing." in no_policy.err
    assert '"policies" must be policies of the user' in not_held.err
    assert "has no API token with the id" in no_token.err


async def test_a_name_does_not_control_the_terminal_of_the_operator(system):
    """Every user names their own tokens: an escape sequence or a line break could hide one, or show another."""
    await create_token(system, "vi", name="a\x1b[2K\r\nb\tc\u202e")
    listed = await run_command(system.settings.database_url, "users", "tokens", "list", "vi@example.com")
    (line,) = listed.out.splitlines()

    assert line.split("\t")[1] == "a?[2K??b?c?"
