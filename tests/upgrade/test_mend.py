"""What the way back of Directus 11.17.4 itself leaves behind is recognised, and whole again where that can be."""

from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from app.db.refusal import Refusal
from app.testing import open_system
from app.upgrade.down import revert
from app.upgrade.mend import broken_down, mend
from tests.conftest import make_settings
from tests.upgrade.elevens import STEPS, copy_of, drop, killed_all_the_way, needs_recordings, restore, run
from tests.upgrade.pictures import picture

pytestmark = needs_recordings

HALFWAY = (
    """
    ALTER TABLE directus_roles ADD ip_access text, ADD enforce_tfa boolean NOT NULL DEFAULT false,
    ADD admin_access boolean NOT NULL DEFAULT false, ADD app_access boolean NOT NULL DEFAULT true
    """,
    """
    ALTER TABLE directus_permissions ADD role uuid
    CONSTRAINT directus_permissions_role_foreign REFERENCES directus_roles
    """,
)
"""What it has done where it breaks off."""
LOOSE = (
    *("ALTER TABLE directus_permissions DROP CONSTRAINT directus_permissions_policy_foreign",),
    *("ALTER TABLE directus_permissions ALTER policy DROP NOT NULL",),
)
"""What else it may have done by then."""
ALL_PUBLIC = (
    *HALFWAY,
    "ALTER TABLE directus_permissions DROP policy",
    "ALTER TABLE directus_roles DROP parent",
    "DROP TABLE directus_access",
    "DROP TABLE directus_policies",
    "DELETE FROM directus_migrations WHERE version = '20240806A'",
)
"""And where it comes to its end."""


def quiet(*_):
    pass


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def worlds():
    made = {"11": await restore("v1101_rich_before.sql"), "10": await restore("v10.sql")}
    yield made
    for name in made.values():
        await drop(name)


@pytest.mark.parametrize("changes", [HALFWAY, HALFWAY + LOOSE], ids=["halfway", "loose"])
async def test_where_it_broke_off_it_is_afterwards_what_it_was_before(worlds, changes):
    async with copy_of(worlds["11"]) as url:
        before = await picture(url)
        await run(url, *changes)
        async with open_system(make_settings(url)) as system:
            await mend(system.database, quiet)

        assert await picture(url) == before


async def test_nobody_goes_back_from_halfway_before_it_is_mended(worlds):
    async with copy_of(worlds["11"], *HALFWAY) as url, open_system(make_settings(url)) as system:
        before = await picture(url)
        with pytest.raises(Refusal, match=r"broke off here.*--mend"):
            await revert(system.database, accept_loss=True, progress=quiet)
        assert await picture(url) == before

        await mend(system.database, quiet)
        assert (await revert(system.database, accept_loss=True, progress=quiet)).roles == 41


async def test_where_every_permission_became_the_publics_it_says_so_and_touches_nothing(worlds):
    async with copy_of(worlds["11"], *ALL_PUBLIC) as url, open_system(make_settings(url)) as system:
        before = await picture(url)
        with pytest.raises(Refusal, match="every permission is the public's"):
            await mend(system.database, quiet)

        assert await picture(url) == before


OTHERWISE = {  # what is near to it, and isn't it
    "a whole 11": ("11", ()),
    "a whole 10": ("10", ()),
    "a 10 whose permissions are all the public's": ("10", ("UPDATE directus_permissions SET role = NULL",)),
    "an admin again": ("11", (*HALFWAY, "UPDATE directus_roles SET admin_access = true WHERE name = 'Editor'")),
    "a role without the app": (
        "11",
        (*HALFWAY, "UPDATE directus_roles SET app_access = false WHERE name = 'Editor'"),
    ),
    "addresses": ("11", (*HALFWAY, "UPDATE directus_roles SET ip_access = '10.0.0.1' WHERE name = 'Editor'")),
    "a permission with a role": (
        "11",
        (*HALFWAY, "UPDATE directus_permissions SET role = (SELECT id FROM directus_roles LIMIT 1) WHERE id = 5"),
    ),
    "a permission without a policy": (
        "11",
        (*HALFWAY, *LOOSE, "UPDATE directus_permissions SET policy = NULL WHERE id = 5"),
    ),
    "no policies": ("11", (*HALFWAY, "TRUNCATE directus_policies CASCADE")),
    "another default": ("11", (*HALFWAY, "ALTER TABLE directus_roles ALTER app_access SET DEFAULT false")),
    "a column less": ("11", (*HALFWAY, "ALTER TABLE directus_roles DROP enforce_tfa")),
    "no record of the step": ("11", (*HALFWAY, "DELETE FROM directus_migrations WHERE version = '20240806A'")),
    "nothing at all": ("10", ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def looked_at(worlds):
    """A copy of each for all who change nothing for good."""
    async with AsyncExitStack() as stack:
        urls = {world: await stack.enter_async_context(copy_of(name)) for world, name in worlds.items()}
        yield {world: await stack.enter_async_context(open_system(make_settings(url))) for world, url in urls.items()}


@pytest.mark.parametrize(("world", "changes"), OTHERWISE.values(), ids=OTHERWISE)
async def test_nothing_else_is_taken_for_it(looked_at, world, changes):
    async with looked_at[world].database.transaction() as connection:
        for change in changes:
            await connection.exec_driver_sql(change)

        assert await broken_down(connection) is None
        await connection.rollback()


@pytest.mark.parametrize("world", ["10", "11"])
async def test_what_needs_no_mending_is_not_touched(looked_at, world):
    url = looked_at[world].settings.database_url
    before = await picture(url)
    with pytest.raises(Refusal, match="Nothing here is known to need mending"):
        await mend(looked_at[world].database, quiet)

    assert await picture(url) == before


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_statement_it_has_mended_nothing(worlds, step):
    async with copy_of(worlds["11"], *HALFWAY) as url:
        before = await picture(url)
        killed, after = await killed_all_the_way("mend", url, step)

    assert len(killed) > 7 // step
    assert all(there == before for there in killed)
    assert after["columns"] != before["columns"]


async def test_an_sqlite_file_is_never_in_that_state(tmp_path):
    async with open_system(make_settings(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")) as system:
        with pytest.raises(Refusal, match="Nothing here is known to need mending"):
            await mend(system.database, quiet)
