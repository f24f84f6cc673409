"""The questions of the page about access get the answers that it shows."""

import re

import pytest_asyncio

from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.cli.commands import run_command
from tests.conftest import make_settings
from tests.readme.pages import page, section, snippets

PAGE = "concepts/explaining-access.md"


@pytest_asyncio.fixture
async def directory(tmp_path):
    """The directory of the page, in an SQLite file."""
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'directory.db'}")
    (rows,) = snippets("json", section(PAGE, "An example"))
    (tmp_path / "directory.json").write_text(rows)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        result = await run_command(settings.database_url, "import", str(tmp_path / "directory.json"))
        assert result.code == 0, result.err
        yield system


async def test_each_question_has_the_answer_that_the_page_shows(directory):
    examples = re.findall(r"```sh\nrollcall (.*?)\n```\n\n```text\n(.*?)```", page(PAGE), re.DOTALL)
    answers = [await run_command(directory.settings.database_url, *command.split()) for command, _ in examples]

    assert len(examples) == 6
    assert [answer.out for answer in answers] == [expected for _, expected in examples]
    assert [answer.code for answer in answers] == [1, 1, 1, 1, 1, 0]


async def test_the_query_of_the_page_returns_the_same_as_data(directory):
    query, _ = snippets("graphql", page(PAGE))
    admin = await directory.as_user("ada@example.com")
    result = await directory.execute(query, caller=admin.caller)

    assert result.errors is None
    answer = result.data["access_explain"]
    assert (answer["allowed"], answer["policies"][0]["name"]) == (False, "Active users")


async def test_the_query_for_those_who_can_returns_the_users_that_the_rules_allow(directory):
    _, query = snippets("graphql", page(PAGE))
    admin = await directory.as_user("ada@example.com")
    result = await directory.execute(query, caller=admin.caller)

    assert result.errors is None
    answer = result.data["access_who_can"]
    assert [user["email"] for user in answer["users"]] == ["ada@example.com", "ines@example.com"]
    assert (answer["total"], answer["public"]) == (2, False)
    assert answer["roles"] == [{"name": "Support", "every_user": False}]


async def test_a_policy_is_attached_until_the_end_in_the_example(directory):
    (mutation,) = snippets("graphql", page("concepts/permissions.md"))
    admin = await directory.as_user("ada@example.com")
    result = await directory.execute(mutation, caller=admin.caller)
    explained = await run_command(
        directory.settings.database_url, "access", "explain", "new@example.com", "read", "users"
    )

    assert result.errors is None
    (access,) = result.data["update_users_item"]["policies"]
    assert access == {"expires": "2099-01-01T00:00:00.000Z", "policy": {"name": "Active users"}}
    assert "(attached to the user, until 2099-01-01T00:00:00.000Z) allows to read" in explained.out
