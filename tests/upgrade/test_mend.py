"""What the way back of Directus 11.17.4 itself leaves behind is recognised, and whole again where that can be."""

import pytest
import pytest_asyncio

from app.db.refusal import Refusal
from app.testing import open_system
from app.upgrade.down import revert
from app.upgrade.mend import broken_down, mend
from tests.conftest import make_settings
from tests.upgrade.elevens import copy_of, drop, killed_all_the_way, needs_recordings, restore, run
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
    made = {"11.17": await restore("v11_migrated.sql"), "11.0": await restore("v1101_rich_before.sql")}
    made["10.13"] = await restore("v10.sql")
    yield made
    for name in made.values():
        await drop(name)


async def found(url):
    async with open_system(make_settings(url)) as system, system.database.transaction() as connection:
        return await broken_down(connection)


@pytest.mark.parametrize("world", ["11.17", "11.0"])
@pytest.mark.parametrize("changes", [HALFWAY, HALFWAY + LOOSE], ids=["halfway", "loose"])
async def test_where_it_broke_off_it_is_afterwards_what_it_was_before(worlds, world, changes):
    async with copy_of(worlds[world]) as url:
        before = await picture(url)
        await run(url, *changes)
        async with open_system(make_settings(url)) as system:
            await mend(system.database, quiet)

        assert await picture(url) == before


async def test_nobody_goes_back_from_halfway_before_it_is_mended(worlds):
    async with copy_of(worlds["11.0"], *HALFWAY) as url, open_system(make_settings(url)) as system:
        before = await picture(url)
        with pytest.raises(Refusal, match=r"broke off here.*--mend"):
            await revert(system.database, accept_loss=True, progress=quiet)
        assert await picture(url) == before

        await mend(system.database, quiet)
        assert (await revert(system.database, accept_loss=True, progress=quiet)).roles == 41


async def test_where_every_permission_became_the_publics_it_says_so_and_touches_nothing(worlds):
    async with copy_of(worlds["11.0"], *ALL_PUBLIC) as url, open_system(make_settings(url)) as system:
        before = await picture(url)
        with pytest.raises(Refusal, match="every permission is the public's"):
            await mend(system.database, quiet)

        assert await picture(url) == before


OTHERWISE = {  # what is near to it, and isn't it
    "a whole 11.17": ("11.17", ()),
    "a whole 11.0": ("11.0", ()),
    "a whole 10": ("10.13", ()),
    "a 10 whose permissions are all the public's": ("10.13", ("UPDATE directus_permissions SET role = NULL",)),
    "an admin again": ("11.0", (*HALFWAY, "UPDATE directus_roles SET admin_access = true WHERE name = 'Editor'")),
    "a role without the app": (
        "11.0",
        (*HALFWAY, "UPDATE directus_roles SET app_access = false WHERE name = 'Editor'"),
    ),
    "addresses": ("11.0", (*HALFWAY, "UPDATE directus_roles SET ip_access = '10.0.0.1' WHERE name = 'Editor'")),
    "a permission with a role": (
        "11.0",
        (*HALFWAY, "UPDATE directus_permissions SET role = (SELECT id FROM directus_roles LIMIT 1) WHERE id = 5"),
    ),
    "a permission without a policy": (
        "11.0",
        (*HALFWAY, *LOOSE, "UPDATE directus_permissions SET policy = NULL WHERE id = 5"),
    ),
    "no policies": ("11.0", (*HALFWAY, "TRUNCATE directus_policies CASCADE")),
    "another default": ("11.0", (*HALFWAY, "ALTER TABLE directus_roles ALTER app_access SET DEFAULT false")),
    "a column less": ("11.0", (*HALFWAY, "ALTER TABLE directus_roles DROP enforce_tfa")),
    "no record of the step": ("11.0", (*HALFWAY, "DELETE FROM directus_migrations WHERE version = '20240806A'")),
    "nothing at all": ("10.13", ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")),
}


@pytest.mark.parametrize(("world", "changes"), OTHERWISE.values(), ids=OTHERWISE)
async def test_nothing_else_is_taken_for_it_or_touched(worlds, world, changes):
    async with copy_of(worlds[world], *changes) as url, open_system(make_settings(url)) as system:
        before = await picture(url)
        assert await found(url) is None
        with pytest.raises(Refusal, match="Nothing here is known to need mending"):
            await mend(system.database, quiet)

        assert await picture(url) == before


async def test_killed_at_any_statement_it_has_mended_nothing(worlds):
    async with copy_of(worlds["11.0"], *HALFWAY) as url:
        before = await picture(url)
        killed, after = await killed_all_the_way("mend", url, 1)

    assert len(killed) > 7
    assert all(there == before for there in killed)
    assert after["columns"] != before["columns"]


async def test_an_sqlite_file_is_never_in_that_state(tmp_path):
    async with open_system(make_settings(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")) as system:
        with pytest.raises(Refusal, match="Nothing here is known to need mending"):
            await mend(system.database, quiet)
