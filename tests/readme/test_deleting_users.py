"""The examples of the page about deleting users have the answers that it shows."""

import re

import orjson
import pytest_asyncio

from app.core.caller import SYSTEM
from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.cli.commands import run_command
from tests.conftest import make_settings
from tests.deletion.database import content
from tests.readme.pages import section, snippets

PAGE = "concepts/deleting-users.md"
INES = "20000000-0000-4000-8000-000000000001"


@pytest_asyncio.fixture
async def directory(tmp_path):
    """The directory of the page, in an SQLite file: Ines has a policy of her own and uploaded two files."""
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'directory.db'}", admin_email="ada@example.com")
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        users, files = system.directory(SYSTEM)["users"], system.directory(SYSTEM)["files"]
        ines = {"id": INES, "email": "ines@example.com", "policies": [{"policy": {"name": "Uploads"}}]}
        await users.create_one(ines)
        for name in ("a.txt", "b.txt"):
            await files.create_one({"storage": "local", "filename_download": name, "uploaded_by": INES})
        async with system.database.transaction() as connection:
            await connection.exec_driver_sql("DELETE FROM directus_activity")
        yield system


async def test_the_dry_run_has_the_answer_that_the_page_shows(directory):
    (query,), (expected,) = (snippets(language, section(PAGE, "A dry run")) for language in ("graphql", "json"))
    admin = await directory.as_user("ada@example.com")
    result = await directory.execute(query, caller=admin.caller)

    assert result.data == orjson.loads(expected)


async def test_the_command_moves_what_the_dry_run_listed(directory):
    (command,) = snippets("sh", section(PAGE, "Reassigning"))
    result = await run_command(directory.settings.database_url, *command.split()[1:])
    files = await directory.directory(SYSTEM)["files"].read_by_query({"fields": ["uploaded_by.email"]})

    assert (result.code, result.out, result.err) == (0, "Deleted ines@example.com.\n", "")
    assert files == [{"uploaded_by": {"email": "ada@example.com"}}] * 2


async def test_the_export_writes_the_members_that_the_page_lists(directory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = section(PAGE, "Exporting what is stored about a person")
    (command,) = snippets("sh", text)
    result = await run_command(directory.settings.database_url, *command.split()[1:])
    data = orjson.loads((tmp_path / "ines.json").read_bytes())
    listed = {
        name for line in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    }

    assert (result.code, result.out, result.err) == (0, "", "")
    assert listed | {"exported", "rows"} == data.keys()
    assert data["policies"][0]["name"] == "Uploads"
    assert len(data["rows"]["directus_files"]) == 2


async def test_the_erasure_keeps_only_the_entry_in_the_audit_log(directory):
    (commands,) = snippets("sh", section(PAGE, "Erasing a person"))
    dry_run, erase = [
        await run_command(directory.settings.database_url, *command.split()[1:]) for command in commands.splitlines()
    ]
    found = await content(directory)

    assert dry_run.out.replace("would be", "was") == erase.out
    assert (erase.code, erase.err) == (0, "")
    assert "ines@" not in repr(found)
    assert [row["action"] for row in found["directus_activity"]][-1] == "erase"
