"""The states in which Directus 11.17.4's own revert leaves a database are detected, and repaired if possible."""

import pytest

from app.core.errors import OperatorError
from app.testing import open_system
from app.upgrade.inspection import inspect_database
from app.upgrade.partial_revert import detect_partial_revert
from app.upgrade.repair import describe_damage, repair
from app.upgrade.revert import revert
from app.upgrade.upgrade import upgrade
from app.upgrade.upgrade_preview import preview_upgrade
from tests.conftest import make_settings
from tests.upgrade.databases import (
    INTERRUPTED_REVERT,
    STEPS,
    database_url,
    no_progress,
    opened_copy,
    rolled_back,
    run_statements,
    snapshots_of_killed_processes,
)
from tests.upgrade.snapshots import snapshot

WITHOUT_CONSTRAINTS = (
    *("ALTER TABLE directus_permissions DROP CONSTRAINT directus_permissions_policy_foreign",),
    *("ALTER TABLE directus_permissions ALTER policy DROP NOT NULL",),
)
"""What that revert may also have done when it fails."""
COMPLETED_REVERT = (
    *INTERRUPTED_REVERT,
    "ALTER TABLE directus_permissions DROP policy",
    "ALTER TABLE directus_roles DROP parent",
    "DROP TABLE directus_access",
    "DROP TABLE directus_policies",
    "DELETE FROM directus_migrations WHERE version = '20240806A'",
)
"""What it has done when it finishes."""


@pytest.mark.parametrize(
    "changes",
    [INTERRUPTED_REVERT, INTERRUPTED_REVERT + WITHOUT_CONSTRAINTS],
    ids=["interrupted", "without constraints"],
)
async def test_a_repaired_database_is_as_it_was_before_the_revert(lossy_template, changes):
    async with opened_copy(lossy_template) as system:
        before = await snapshot(database_url(system))
        await run_statements(database_url(system), *changes)
        await repair(system.database, no_progress)

        assert await snapshot(database_url(system)) == before


OPERATIONS = {
    "upgrade": lambda database: upgrade(database, no_progress),
    "preview": lambda database: preview_upgrade(database, 5, no_progress),
    "revert": lambda database: revert(database, accept_loss=True, progress=no_progress),
}


async def test_an_interrupted_revert_must_be_repaired_before_anything_else(lossy_template):
    async with opened_copy(lossy_template, *INTERRUPTED_REVERT) as system:
        before = await snapshot(database_url(system))
        for operation in OPERATIONS.values():
            with pytest.raises(OperatorError, match=r"revert was interrupted.*--repair"):
                await operation(system.database)
        assert "--repair" in await describe_damage(system.database)
        assert await snapshot(database_url(system)) == before

        await repair(system.database, no_progress)
        assert (await revert(system.database, accept_loss=True, progress=no_progress)).roles == 41


async def test_a_completed_revert_is_described_and_nothing_is_changed(lossy_template):
    async with opened_copy(lossy_template, *COMPLETED_REVERT) as system:
        before = await snapshot(database_url(system))
        for operation in (*OPERATIONS.values(), lambda database: repair(database, no_progress), describe_damage):
            with pytest.raises(OperatorError, match="every permission is public"):
                await operation(system.database)

        assert await snapshot(database_url(system)) == before


OTHER_STATES = {  # similar, but not the result of Directus' own revert
    "a Directus 11 database": ("readonly_lossy", ()),
    "a Directus 10 database": ("readonly_v10", ()),
    "a Directus 10 database with public permissions only": (
        "readonly_v10",
        ("UPDATE directus_permissions SET role = NULL",),
    ),
    "a role with admin access": (
        "readonly_lossy",
        (*INTERRUPTED_REVERT, "UPDATE directus_roles SET admin_access = true WHERE name = 'Editor'"),
    ),
    "a role without app access": (
        "readonly_lossy",
        (*INTERRUPTED_REVERT, "UPDATE directus_roles SET app_access = false WHERE name = 'Editor'"),
    ),
    "a role limited to IP addresses": (
        "readonly_lossy",
        (*INTERRUPTED_REVERT, "UPDATE directus_roles SET ip_access = '10.0.0.1' WHERE name = 'Editor'"),
    ),
    "a permission with a role": (
        "readonly_lossy",
        (
            *INTERRUPTED_REVERT,
            "UPDATE directus_permissions SET role = (SELECT id FROM directus_roles LIMIT 1) WHERE id = 5",
        ),
    ),
    "a permission without a policy": (
        "readonly_lossy",
        (*INTERRUPTED_REVERT, *WITHOUT_CONSTRAINTS, "UPDATE directus_permissions SET policy = NULL WHERE id = 5"),
    ),
    "no policies": ("readonly_lossy", (*INTERRUPTED_REVERT, "TRUNCATE directus_policies CASCADE")),
    "another default": (
        "readonly_lossy",
        (*INTERRUPTED_REVERT, "ALTER TABLE directus_roles ALTER app_access SET DEFAULT false"),
    ),
    "a missing column": ("readonly_lossy", (*INTERRUPTED_REVERT, "ALTER TABLE directus_roles DROP enforce_tfa")),
    "no record of the migration": (
        "readonly_lossy",
        (*INTERRUPTED_REVERT, "DELETE FROM directus_migrations WHERE version = '20240806A'"),
    ),
    "an empty database": ("readonly_v10", ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")),
}


@pytest.mark.parametrize(("system", "changes"), OTHER_STATES.values(), ids=OTHER_STATES, indirect=["system"])
async def test_no_other_state_is_detected(system, changes):
    async with rolled_back(system, *changes) as connection:
        assert await detect_partial_revert(connection, await inspect_database(connection)) is None


@pytest.mark.parametrize("system", ["readonly_v10", "readonly_lossy"], indirect=True)
async def test_a_database_without_damage_is_not_changed(system):
    before = await snapshot(database_url(system))
    for operation in (lambda database: repair(database, no_progress), describe_damage):
        with pytest.raises(OperatorError, match="no known damage to repair"):
            await operation(system.database)

    assert await snapshot(database_url(system)) == before


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_statement_a_repair_has_changed_nothing(lossy_template, step):
    async with opened_copy(lossy_template, *INTERRUPTED_REVERT) as system:
        before = await snapshot(database_url(system))
        killed, after = await snapshots_of_killed_processes("repair", database_url(system), step)

    assert len(killed) > 7 // step
    assert all(state == before for state in killed)
    assert after["columns"] != before["columns"]


async def test_a_sqlite_database_is_never_repaired(tmp_path):
    async with open_system(make_settings(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")) as system:
        with pytest.raises(OperatorError, match="no known damage to repair"):
            await repair(system.database, no_progress)
