"""The files and commands of the page about policies as code have the results that it shows."""

import re

import pytest_asyncio

from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.cli.commands import run_command
from tests.conftest import make_settings
from tests.readme.pages import page, snippets

PAGE = "concepts/policies-as-code.md"
FILES = ("policies.yaml", "tests.yaml", "failing.yaml")


@pytest_asyncio.fixture
async def url(tmp_path, monkeypatch):
    """The database of the page, after bootstrap, in a folder with the files of the page."""
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'directory.db'}")
    for name, content in zip(FILES, snippets("yaml", page(PAGE)), strict=True):
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        yield settings.database_url


async def test_each_command_prints_what_the_page_shows(url):
    examples = re.findall(r"```sh\nrollcall (.*?)\n```\n\n```text\n(.*?)```", page(PAGE), re.DOTALL)
    results = [await run_command(url, *command.split()) for command, _ in examples]

    assert len(examples) == 5
    assert [result.out + result.err for result in results] == [expected for _, expected in examples]
    assert [result.code for result in results] == [0, 0, 0, 0, 1]
