"""The files and commands of the page about policies as code have the results that it shows."""

import re
import subprocess
import sys

import pytest
import pytest_asyncio

from app.core.config import load_settings
from app.flows.bootstrap import bootstrap
from app.policy_files.server_tests import load_policy_tests
from app.testing import open_system
from tests.cli.commands import run_command
from tests.conftest import make_settings
from tests.readme.pages import create_checkout, page, section, snippets

PAGE = "concepts/policies-as-code.md"
FILES = ("policies.yaml", "tests.yaml", "failing.yaml")


PLUGIN = ("-p", "app.policy_files.pytest_plugin")


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


@pytest.mark.slow
def test_pytest_runs_the_tests_of_the_files_that_its_configuration_names(tmp_path):
    (tmp_path / "policies").mkdir()
    for name, content in zip(FILES, snippets("yaml", page(PAGE)), strict=True):
        (tmp_path / "policies" / name).write_text(content)
    (ini,) = snippets("ini", section(PAGE, "In pytest"))
    (tmp_path / "pytest.ini").write_text(ini)
    result = run_pytest(tmp_path)

    failure = 'policies/failing.yaml, line 4: role "Support" may not read users.title, which is not expected.'
    assert result.returncode == 1
    assert "1 failed, 3 passed" in result.stdout
    assert failure in result.stdout


def run_pytest(folder, *arguments):
    """Run pytest with the plugin, whether the installed package announces it or not."""
    command = [sys.executable, "-m", "pytest", "-q", *PLUGIN, "-p", "no:cacheprovider", *arguments]
    env = create_checkout(folder / "env") | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, check=False, cwd=folder, env=env, capture_output=True, text=True)


def test_the_setting_of_the_page_names_the_tests(tmp_path, monkeypatch):
    (ini,) = snippets("ini", section(PAGE, "On the server"))
    name, _, value = ini.strip().partition("=")
    (tmp_path / value).mkdir()
    (tmp_path / value / "tests.yaml").write_text(snippets("yaml", page(PAGE))[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)

    assert len(load_policy_tests(load_settings())) == 2
