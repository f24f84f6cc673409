"""A server with `UPLOADER_ROWS` and a storage folder, on a database of each kind; restored after each test."""

import shutil
from contextlib import AsyncExitStack
from typing import NamedTuple

import httpx
import pytest_asyncio

from app.flows.import_export import import_rows
from app.testing import TestSystem
from tests.base_data import static_token
from tests.conftest import BACKENDS, open_copy
from tests.files.uploaders import UPLOADER_ROWS
from tests.http.test_graphql import bearer, served
from tests.restoration import restore_rows, save_rows


class FileServer(NamedTuple):
    """An HTTP client of a server, and the system behind it."""

    client: httpx.AsyncClient
    system: TestSystem

    @property
    def folder(self):
        return self.system.settings.storage_local_root

    @property
    def stored(self):
        """The names of all files in the storage folder, drafts included."""
        return sorted(path.name for path in self.folder.rglob("*")) if self.folder.exists() else []

    async def request(self, user, method, path, **options):
        """Send a request as a user, or anonymously for None."""
        headers = {**(bearer(static_token(user)) if user else {}), **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)

    async def upload(
        self,
        user,
        content,
        filename="a.png",
        media_type="image/png",
        path="/files",
        method="POST",
        headers=None,
        **fields,
    ):
        """Upload one file in a multipart form, preceded by the given form fields."""
        form = [(key, (None, value)) for key, value in fields.items()]
        files = [*form, ("file", (filename, content, media_type))]
        return await self.request(user, method, path, files=files, headers=headers or {})


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def uploaders_db(request, templates, tmp_path_factory):
    async with AsyncExitStack() as stack:
        folder = tmp_path_factory.mktemp("uploaders")
        system = await open_copy(stack, request.param, templates, folder)
        await import_rows(system.database, UPLOADER_ROWS, replace=False)
        await save_rows(system)
        settings = system.settings.model_copy(update={"storage_local_root": folder / "uploads"})
        client = await stack.enter_async_context(served(settings))
        yield FileServer(client, TestSystem(system.database, settings))


@pytest_asyncio.fixture
async def uploaders(uploaders_db):
    """The server with no files; restored after the test."""
    yield uploaders_db
    shutil.rmtree(uploaders_db.folder, ignore_errors=True)
    await restore_rows(uploaders_db.system)
