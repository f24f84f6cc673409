"""The simulations of the page about simulating changes have the answers that it shows."""

import re
from pathlib import Path

import pytest_asyncio

from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.cli.commands import run_command
from tests.conftest import make_settings
from tests.readme.pages import page, section, snippets

PAGE = "concepts/simulating-changes.md"


@pytest_asyncio.fixture
async def directory(tmp_path):
    """The directory of the page, in an SQLite file, beside the files with changes."""
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'directory.db'}")
    rows, changes = snippets("json", section(PAGE, "An example"))
    (admins,) = snippets("json", section(PAGE, "The last admin"))
    for name, text in {"directory": rows, "changes": changes, "admins": admins}.items():
        (tmp_path / f"{name}.json").write_text(text)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        result = await run_command(settings.database_url, "import", str(tmp_path / "directory.json"))
        assert result.code == 0, result.err
        yield system, tmp_path


async def test_each_file_of_changes_has_the_answer_that_the_page_shows(directory):
    system, folder = directory
    examples = re.findall(r"```sh\nrollcall (.*?)\n```\n\n```text\n(.*?)```", page(PAGE), re.DOTALL)
    answers = [await run_command(system.settings.database_url, *arguments(command, folder)) for command, _ in examples]

    assert len(examples) == 3
    assert [answer.out for answer in answers] == [expected for _, expected in examples]
    assert [answer.code for answer in answers] == [0, 0, 1]


def arguments(command: str, folder: Path) -> list[str]:
    return [str(folder / part) if part.endswith(".json") else part for part in command.split()]


async def test_the_mutation_of_the_page_returns_the_same_as_data(directory):
    system, _ = directory
    (mutation,) = snippets("graphql", page(PAGE))
    admin = await system.as_user("ada@example.com")
    result = await system.execute(mutation, caller=admin.caller)

    assert result.errors is None
    answer = result.data["access_simulate"]
    assert (answer["users_total"], answer["effects"][0]["roles"][0]["name"]) == (1, "Support")
    assert answer["effects"][0]["actions"][0]["fields_lost"] == ["email", "status"]
