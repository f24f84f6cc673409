"""The examples of the page about API tokens work as it says."""

import re
import shlex
from typing import Any

import pytest_asyncio

from app.core.caller import SYSTEM
from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.api_tokens.tokens import caller_with
from tests.cli.commands import run_command
from tests.conftest import make_settings
from tests.readme.pages import section, snippets

PAGE = "concepts/api-tokens.md"
POLICY = "30000000-0000-4000-8000-000000000001"


@pytest_asyncio.fixture
async def directory(tmp_path):
    """A directory in an SQLite file, in which Ines may read active users and rename them."""
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'directory.db'}")
    permissions: list[dict[str, Any]] = [
        {"collection": "directus_users", "action": action, "fields": ["id", "email"], "permissions": {}}
        for action in ("read", "update")
    ]
    policy = {"id": POLICY, "name": "Active users", "permissions": permissions}
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        ines = {"email": "ines@example.com", "status": "active", "policies": [{"policy": policy}]}
        await system.directory(SYSTEM)["users"].create_one(ines)
        yield system


async def test_the_mutation_creates_a_token_that_the_query_lists_with_its_limits(directory):
    (mutation,), (query,) = (snippets("graphql", section(PAGE, name)) for name in ("Creating a token", "Keeping track"))
    ines = (await directory.as_user("ines@example.com")).caller
    created = (await directory.execute(mutation, caller=ines)).data["create_tokens_item"]
    listed = (await directory.execute(query, caller=ines)).data["users_me_tokens"]
    token = caller_with(created["token"], "192.0.2.7")

    assert re.fullmatch(r"rollcall_[0-9A-Za-z]{43}", created["token"])
    assert (listed[0]["name"], listed[0]["policies"]) == ("Nightly report", [POLICY])
    assert (await directory.execute("{ users { email } }", caller=token)).data["users"]
    assert (await directory.execute(mutation, caller=token)).errors[0].message == "This API token is read-only."


async def test_the_command_creates_a_token(directory):
    (command,) = snippets("sh", section(PAGE, "Creating a token"))
    result = await run_command(directory.settings.database_url, *shlex.split(command)[1:])

    assert result.out.startswith("API token (shown only once): rollcall_"), result
