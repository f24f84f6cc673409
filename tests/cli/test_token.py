"""`rollcall token`: an access token for an active user, and one line for an address that nobody has."""

import pytest

from tests.base_data import uid
from tests.cli.commands import run_command
from tests.core.test_tokens import decoded_payload


async def test_the_token_names_the_user_whatever_the_case_of_the_address(readonly_db):
    result = await run_command(readonly_db.settings.database_url, "token", "ADA@example.com")

    assert decoded_payload(result.out.strip())["id"] == uid("ada")


@pytest.mark.parametrize("email", ["sue@example.com", "nobody@example.com", "not-utf-8-\udcff@example.com"])
async def test_an_address_of_no_active_user_is_one_line(readonly_db, email):
    result = await run_command(readonly_db.settings.database_url, "token", email)

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("rollcall: There is no active user with the email address")
    assert len(result.err.splitlines()) == 1
