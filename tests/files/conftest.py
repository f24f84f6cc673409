"""The named world with people in it who upload: one database and one folder of each kind, put back after each test."""

import shutil
from contextlib import AsyncExitStack
from typing import NamedTuple

import httpx
import pytest_asyncio

from app.flows.import_export import import_rows
from app.testing import TestSystem
from tests.conftest import BACKENDS, copied
from tests.files.uploaders import FILING
from tests.http.test_graphql import bearer, served
from tests.world import static_token
from tests.writes.conftest import KEEP, RESTORE, run


class Filing(NamedTuple):
    """A server, the folder it keeps contents in, and its system."""

    client: httpx.AsyncClient
    system: TestSystem

    @property
    def folder(self):
        return self.system.settings.storage_local_root

    @property
    def stored(self):
        """What lies in the folder, drafts included."""
        return sorted(path.name for path in self.folder.rglob("*")) if self.folder.exists() else []

    async def ask(self, who, method, path, **options):
        """An answer for somebody of this world; None is nobody."""
        headers = {**(bearer(static_token(who)) if who else {}), **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)

    async def upload(self, who, content, name="a.png", type_="image/png", path="/files", method="POST", **said):
        """An upload of one file, after what is said of it."""
        form = [(key, (None, value)) for key, value in said.items()]
        return await self.ask(who, method, path, files=[*form, ("file", (name, content, type_))])


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def uploaders_db(request, templates, tmp_path_factory):
    async with AsyncExitStack() as stack:
        folder = tmp_path_factory.mktemp("filing")
        system = await copied(stack, request.param, templates, folder)
        await import_rows(system.database, FILING, replace=False)
        await run(system.settings.database_url, KEEP)
        settings = system.settings.model_copy(update={"storage_local_root": folder / "uploads"})
        client = await stack.enter_async_context(served(settings))
        yield Filing(client, TestSystem(system.database, settings))


@pytest_asyncio.fixture
async def uploaders(uploaders_db):
    """These people as they were in the beginning, and no file."""
    yield uploaders_db
    shutil.rmtree(uploaders_db.folder, ignore_errors=True)
    await run(uploaders_db.system.settings.database_url, RESTORE)
