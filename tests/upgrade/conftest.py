"""Databases to upgrade and to revert, restored once; most tests roll back what they change in one of them."""

from types import SimpleNamespace

import pytest
import pytest_asyncio

from app.upgrade.upgrade import upgrade
from tests.conftest import HAS_POSTGRESQL, admin_url
from tests.upgrade.databases import (
    DELETE_DUPLICATES,
    DELETE_MERGE_ROWS,
    MIGRATION_RECORDINGS,
    copied_database,
    database_url,
    dump,
    opened_copy,
    restored_database,
)


@pytest.fixture(scope="session")
def recordings():
    """Skips the test if there is no PostgreSQL, or no recording of a real Directus."""
    if not HAS_POSTGRESQL:
        pytest.skip("upgrades need PostgreSQL, and no server answers")
    if not MIGRATION_RECORDINGS.exists():
        pytest.skip("the recordings of a real Directus are not beside this checkout")


@pytest.fixture
def system(request):
    """The system provided by the fixture that is named by the test's parameter."""
    return request.getfixturevalue(request.param)


def template(dump_file):
    """Return a fixture: the name of a database restored from a dump, to be copied."""

    @pytest_asyncio.fixture(scope="session")
    async def restored(recordings):
        async with restored_database(dump_file) as name:
            yield name

    return restored


v10_template = template("v10.sql")
v11_template = template("v11_migrated.sql")
merge_template = template("v1101_merge_before.sql")
lossy_template = template("v1101_rich_before.sql")


@pytest_asyncio.fixture(scope="session")
async def lossless_template(merge_template):
    """An upgraded Directus 10 database that would lose nothing in a revert."""
    async with copied_database(merge_template, *DELETE_MERGE_ROWS, DELETE_DUPLICATES) as name:
        yield name


@pytest_asyncio.fixture
async def writable_v10(v10_template):
    """A Directus 10 database, for tests that change it."""
    async with opened_copy(v10_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def readonly_v10(v10_template):
    """A Directus 10 database, for tests that change nothing or roll it back."""
    async with opened_copy(v10_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def upgraded(v10_template):
    """An upgraded database, for tests that only read, with the progress, the result, and a dump from before."""
    async with opened_copy(v10_template) as system:
        before, progress = dump(database_url(system)), []
        result = await upgrade(system.database, lambda *step: progress.append(step))
        yield SimpleNamespace(url=database_url(system), system=system, before=before, progress=progress, result=result)


@pytest_asyncio.fixture(scope="session")
async def v11_url(v11_template):
    """The URL of a database migrated by Directus 11 itself; tests adopt it, but change nothing else."""
    async with copied_database(v11_template) as name:
        yield admin_url(name)


@pytest_asyncio.fixture(scope="session")
async def readonly_v11(v11_template):
    """A database migrated by Directus 11 itself, for tests that roll back what they change."""
    async with opened_copy(v11_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def readonly_merge(merge_template):
    """A Directus 11 database whose roles have several permissions for one action, for tests that roll back changes."""
    async with opened_copy(merge_template) as system:
        yield system


@pytest_asyncio.fixture
async def writable_lossless(lossless_template):
    """An upgraded Directus 10 database that would lose nothing in a revert, for tests that change it."""
    async with opened_copy(lossless_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def readonly_lossless(lossless_template):
    """An upgraded Directus 10 database that would lose nothing in a revert, for tests that roll back changes."""
    async with opened_copy(lossless_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def readonly_lossy(lossy_template):
    """A Directus 11 database with everything that 10 can't hold, for tests that roll back what they change."""
    async with opened_copy(lossy_template) as system:
        yield system
