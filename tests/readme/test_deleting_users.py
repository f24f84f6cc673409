"""The examples of the page about deleting users have the answers that it shows."""

import orjson
import pytest_asyncio

from app.core.caller import SYSTEM
from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.cli.commands import run_command
from tests.conftest import make_settings
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
