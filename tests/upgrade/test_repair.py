"""What the way back of Directus 11.17.4 itself leaves behind is recognised, and whole again where that can be."""

import pytest

from app.core.errors import OperatorError
from app.testing import open_system
from app.upgrade.inspection import inspect_database
from app.upgrade.partial_revert import detect_partial_revert
from app.upgrade.repair import repair, what_to_mend
from app.upgrade.revert import revert
from app.upgrade.upgrade import upgrade
from app.upgrade.upgrade_preview import survey
from tests.conftest import make_settings
from tests.upgrade.databases import HALFWAY, STEPS, address, killed_all_the_way, opened, quiet, run, taken_back
from tests.upgrade.snapshots import picture

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


@pytest.mark.parametrize("changes", [HALFWAY, HALFWAY + LOOSE], ids=["halfway", "loose"])
async def test_where_it_broke_off_it_is_afterwards_what_it_was_before(rich_template, changes):
    async with opened(rich_template) as system:
        before = await picture(address(system))
        await run(address(system), *changes)
        await repair(system.database, quiet)

        assert await picture(address(system)) == before


WAYS = {
    "up": lambda database: upgrade(database, quiet),
    "a look": lambda database: survey(database, 5, quiet),
    "back": lambda database: revert(database, accept_loss=True, progress=quiet),
}


async def test_nobody_goes_either_way_from_halfway_before_it_is_mended(rich_template):
    async with opened(rich_template, *HALFWAY) as system:
        before = await picture(address(system))
        for way in WAYS.values():
            with pytest.raises(OperatorError, match=r"broke off here.*--mend"):
                await way(system.database)
        assert "--mend" in await what_to_mend(system.database)
        assert await picture(address(system)) == before

        await repair(system.database, quiet)
        assert (await revert(system.database, accept_loss=True, progress=quiet)).roles == 41


async def test_where_every_permission_became_the_publics_it_says_so_and_touches_nothing(rich_template):
    async with opened(rich_template, *ALL_PUBLIC) as system:
        before = await picture(address(system))
        for way in (*WAYS.values(), lambda database: repair(database, quiet), what_to_mend):
            with pytest.raises(OperatorError, match="every permission is the public's"):
                await way(system.database)

        assert await picture(address(system)) == before


OTHERWISE = {  # what is near to it, and isn't it
    "a whole 11": ("still_rich", ()),
    "a whole 10": ("still_ten", ()),
    "a 10 whose permissions are all the public's": ("still_ten", ("UPDATE directus_permissions SET role = NULL",)),
    "an admin again": ("still_rich", (*HALFWAY, "UPDATE directus_roles SET admin_access = true WHERE name = 'Editor'")),
    "a role without the app": (
        "still_rich",
        (*HALFWAY, "UPDATE directus_roles SET app_access = false WHERE name = 'Editor'"),
    ),
    "addresses": ("still_rich", (*HALFWAY, "UPDATE directus_roles SET ip_access = '10.0.0.1' WHERE name = 'Editor'")),
    "a permission with a role": (
        "still_rich",
        (*HALFWAY, "UPDATE directus_permissions SET role = (SELECT id FROM directus_roles LIMIT 1) WHERE id = 5"),
    ),
    "a permission without a policy": (
        "still_rich",
        (*HALFWAY, *LOOSE, "UPDATE directus_permissions SET policy = NULL WHERE id = 5"),
    ),
    "no policies": ("still_rich", (*HALFWAY, "TRUNCATE directus_policies CASCADE")),
    "another default": ("still_rich", (*HALFWAY, "ALTER TABLE directus_roles ALTER app_access SET DEFAULT false")),
    "a column less": ("still_rich", (*HALFWAY, "ALTER TABLE directus_roles DROP enforce_tfa")),
    "no record of the step": ("still_rich", (*HALFWAY, "DELETE FROM directus_migrations WHERE version = '20240806A'")),
    "nothing at all": ("still_ten", ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")),
}


@pytest.mark.parametrize(("there", "changes"), OTHERWISE.values(), ids=OTHERWISE, indirect=["there"])
async def test_nothing_else_is_taken_for_it(there, changes):
    async with taken_back(there, *changes) as connection:
        assert await detect_partial_revert(connection, await inspect_database(connection)) is None


@pytest.mark.parametrize("there", ["still_ten", "still_rich"], indirect=True)
async def test_what_needs_no_mending_is_not_touched(there):
    before = await picture(address(there))
    for way in (lambda database: repair(database, quiet), what_to_mend):
        with pytest.raises(OperatorError, match="Nothing here is known to need mending"):
            await way(there.database)

    assert await picture(address(there)) == before


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_statement_it_has_mended_nothing(rich_template, step):
    async with opened(rich_template, *HALFWAY) as system:
        before = await picture(address(system))
        killed, after = await killed_all_the_way("mend", address(system), step)

    assert len(killed) > 7 // step
    assert all(there == before for there in killed)
    assert after["columns"] != before["columns"]


async def test_an_sqlite_file_is_never_in_that_state(tmp_path):
    async with open_system(make_settings(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")) as system:
        with pytest.raises(OperatorError, match="Nothing here is known to need mending"):
            await repair(system.database, quiet)
