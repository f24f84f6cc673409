"""Databases to upgrade and to go back with, restored once; most tests take back what they do in one of them."""

from types import SimpleNamespace

import pytest
import pytest_asyncio

from app.upgrade.upgrade import upgrade
from tests.conftest import HAS_POSTGRESQL, admin_url
from tests.upgrade.databases import DOUBLES, NOT_MIGRATED, RECORDED, address, copied, dump, opened, restored


@pytest.fixture(scope="session")
def recordings():
    """Skips, saying so, where there is nothing to upgrade, or nothing to upgrade it on."""
    if not HAS_POSTGRESQL:
        pytest.skip("upgrades are done on PostgreSQL, and none answers")
    if not RECORDED.exists():
        pytest.skip("the recordings of a real Directus are not beside this checkout")


@pytest.fixture
def there(request):
    """The system that is a fixture of the name that is given as a parameter."""
    return request.getfixturevalue(request.param)


def template(dumped):
    """A fixture: the name of a database with what a dump holds, to be copied."""

    @pytest_asyncio.fixture(scope="session")
    async def made(recordings):
        async with restored(dumped) as name:
            yield name

    return made


ten_template = template("v10.sql")
eleven_template = template("v11_migrated.sql")
merge_template = template("v1101_merge_before.sql")
rich_template = template("v1101_rich_before.sql")


@pytest_asyncio.fixture(scope="session")
async def plain_template(merge_template):
    """An upgraded Directus 10 that would lose nothing by going back."""
    async with copied(merge_template, *NOT_MIGRATED, DOUBLES) as name:
        yield name


@pytest_asyncio.fixture
async def ten(ten_template):
    """A database as Directus 10 left it, to change."""
    async with opened(ten_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def still_ten(ten_template):
    """The same for all tests that change nothing, or only within a transaction that they take back."""
    async with opened(ten_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def upgraded(ten_template):
    """The same after an upgrade, to look at, with what that `told` and returned, and the dump from `before`."""
    async with opened(ten_template) as system:
        before, told = dump(address(system)), []
        done = await upgrade(system.database, lambda *step: told.append(step))
        yield SimpleNamespace(url=address(system), system=system, before=before, told=told, done=done)


@pytest_asyncio.fixture(scope="session")
async def eleven_url(eleven_template):
    """The address of what Directus 11's own migrations made of it; tests adopt it, and only look otherwise."""
    async with copied(eleven_template) as name:
        yield admin_url(name)


@pytest_asyncio.fixture(scope="session")
async def still_eleven(eleven_template):
    """The same for all tests that take back what they do."""
    async with opened(eleven_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def still_merge(merge_template):
    """A Directus 11 whose roles have several permissions for one thing, for all tests that take back what they do."""
    async with opened(merge_template) as system:
        yield system


@pytest_asyncio.fixture
async def plain(plain_template):
    """An upgraded Directus 10 that would lose nothing by going back, to change."""
    async with opened(plain_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def still_plain(plain_template):
    """The same for all tests that take back what they do."""
    async with opened(plain_template) as system:
        yield system


@pytest_asyncio.fixture(scope="session")
async def still_rich(rich_template):
    """A Directus 11 with all that 10 has no place for, for all tests that take back what they do."""
    async with opened(rich_template) as system:
        yield system
