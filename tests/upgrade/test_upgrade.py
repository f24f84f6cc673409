"""An upgrade changes a Directus 10 database exactly as Directus' own migration does."""

import asyncio
import json
from operator import itemgetter

import pytest

from app.core.errors import OperatorError
from app.db import migrate
from app.db.models import DIRECTUS_TABLES
from app.flows.bootstrap import bootstrap
from app.flows.import_export import export_file, import_file
from app.testing import open_system
from app.upgrade import locks
from app.upgrade.db_errors import translate_db_errors
from app.upgrade.edition import edition_of
from app.upgrade.inspection import DatabaseColumns
from app.upgrade.upgrade import upgrade, upgrade_in_transaction
from app.upgrade.upgrade_preview import preview_upgrade
from tests.conftest import make_settings
from tests.upgrade.databases import (
    STEPS,
    database_url,
    dump,
    no_progress,
    opened_by_guest,
    recorded_layout,
    recorded_rows,
    rolled_back,
    snapshots_of_killed_processes,
)
from tests.upgrade.snapshots import layout, rows, snapshot

CHANGED_TABLES = ("directus_roles", "directus_policies", "directus_access", "directus_permissions")
BEFORE_LATER_MIGRATIONS = {
    ("directus_roles", "icon"): "character varying(30)",  # lengthened by 20240817A
    ("directus_users", "text_direction"): None,  # added by 20250718A
}
"""The types of columns of these tables before Directus' later migrations change or add them."""


def ordered(table_rows):
    return sorted(table_rows, key=itemgetter("id"))


@pytest.mark.parametrize("table", ["directus_roles", "directus_policies", "directus_permissions"])
async def test_every_row_is_as_directus_own_migration_leaves_it(upgraded, table):
    assert ordered(await rows(upgraded.url, table)) == ordered(recorded_rows("v11_migrated", table))


async def test_every_role_and_the_public_get_a_policy(upgraded):
    def without_ids(access_rows):
        return sorted([(row["role"], row["user"], row["policy"], row["sort"]) for row in access_rows], key=str)

    access_rows = await rows(upgraded.url, "directus_access")

    assert without_ids(access_rows) == without_ids(recorded_rows("v11_migrated", "directus_access"))
    assert len({row["id"] for row in access_rows}) == len(access_rows) == upgraded.result.roles + 1


@pytest.mark.parametrize("table", ["directus_users", "directus_settings"])
async def test_users_and_settings_are_unchanged(upgraded, table):
    assert ordered(await rows(upgraded.url, table)) == ordered(recorded_rows("v10", table))


async def test_the_tables_have_the_layout_of_directus_own_migration(upgraded):
    tables = (*CHANGED_TABLES, "directus_users")
    for kind in ("columns", "constraints", "indexes"):
        expected = [line for line in recorded_layout("v11_migrated", kind) if line[0] in tables]
        if kind == "columns":
            expected = [
                before_later_migrations(line)
                for line in expected
                if BEFORE_LATER_MIGRATIONS.get(line[:2], "") is not None
            ]
        actual = [line for line in await layout(upgraded.url, kind) if line[0] in tables]

        assert sorted(actual, key=itemgetter(0)) == sorted(expected, key=itemgetter(0))  # keeps the order in a table
        assert {line[0] for line in expected} == set(tables)


def before_later_migrations(line):
    return (*line[:2], BEFORE_LATER_MIGRATIONS.get(line[:2], line[2]), *line[3:])


async def test_nothing_else_in_the_database_is_changed(upgraded):
    after = dump(upgraded.url)
    changed = {line for line in set(upgraded.before.splitlines()) ^ set(after.splitlines()) if line.strip()}
    tables = {"directus_roles", "directus_permissions", "directus_policies", "directus_access", "directus_migrations"}

    def other_parts(sql):
        return [part for part in sql.split("\n--\n") if not any(name in part for name in tables)]

    assert changed
    assert other_parts(after) == other_parts(upgraded.before)


async def test_the_migration_is_recorded_as_directus_records_it(upgraded):
    newest = max(await rows(upgraded.url, "directus_migrations"), key=lambda row: row["version"])

    assert (newest["version"], newest["name"]) == ("20240806A", "Permissions Policies")
    assert newest["timestamp"]


async def test_progress_is_reported_for_each_step(upgraded):
    assert [step for step, done, total in upgraded.progress if done == total] == [
        "policies",
        "access",
        "permissions",
        "roles",
    ]
    assert ("permissions", 76, 76) in upgraded.progress


async def test_a_second_upgrade_changes_nothing(upgraded):
    after = dump(upgraded.url)

    assert await upgrade(upgraded.system.database, no_progress) is None
    assert await preview_upgrade(upgraded.system.database, 5, no_progress) is None
    assert dump(upgraded.url) == after


async def test_a_database_migrated_by_directus_is_upgraded_already(v11_url):
    async with open_system(make_settings(v11_url)) as system:
        assert await upgrade(system.database, no_progress) is None


async def test_of_two_concurrent_upgrades_one_finds_it_done(writable_v10):
    results = await asyncio.gather(*(upgrade(writable_v10.database, no_progress) for _ in range(2)))

    assert {bool(result) for result in results} == {True, False}


async def test_columns_of_later_directus_migrations_are_named_by_the_upgrade_and_by_bootstrap(upgraded):
    models = {f"{table.name}.{column.name}" for table in DIRECTUS_TABLES for column in table.columns}
    existing = {f"{row[0]}.{row[1]}" for row in await layout(upgraded.url, "columns")}

    assert set(upgraded.result.missing_columns) == models - existing
    assert "directus_users.text_direction" in upgraded.result.missing_columns
    with pytest.raises(OperatorError, match="are missing") as caught:
        await bootstrap(upgraded.system.database, upgraded.system.settings)
    assert all(name in str(caught.value) for name in upgraded.result.missing_columns)


@pytest.mark.parametrize("command", [migrate.migrate_up, None])
async def test_bootstrap_recognizes_a_directus_10_database(readonly_v10, command):
    before = await snapshot(database_url(readonly_v10))
    with pytest.raises(OperatorError, match=r"Directus 10 database.*rollcall upgrade --dry-run"):
        await (command(readonly_v10.database) if command else bootstrap(readonly_v10.database, readonly_v10.settings))

    assert await snapshot(database_url(readonly_v10)) == before


async def test_an_upgraded_database_can_be_exported_to_sqlite(v11_url, tmp_path):
    settings, file = make_settings(v11_url), tmp_path / "exported.json"
    sqlite_settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'imported.db'}")
    async with open_system(settings) as source, open_system(sqlite_settings) as target:
        await bootstrap(source.database, settings)
        await export_file(source.database, file)
        await bootstrap(target.database, sqlite_settings)
        await import_file(target.database, file)
        await export_file(target.database, tmp_path / "again.json")

    exported, again = (json.loads(path.read_text()) for path in (file, tmp_path / "again.json"))
    assert len(exported["directus_policies"]) == 34
    assert again == exported


async def test_sessions_that_lock_the_tables_are_named(readonly_v10, monkeypatch):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", "100ms")
    before = await snapshot(database_url(readonly_v10))
    async with rolled_back(readonly_v10, "SET application_name = 'psql'", "SELECT FROM directus_roles"):
        with pytest.raises(OperatorError, match=r"psql \(process \d+, idle in transaction\).*Stop Directus"):
            await upgrade(readonly_v10.database, no_progress)

    assert await snapshot(database_url(readonly_v10)) == before


UNSUPPORTED_STATES = {
    "ALTER TABLE directus_roles DROP COLUMN enforce_tfa": "directus_roles.enforce_tfa is missing",
    "ALTER TABLE directus_roles ALTER name TYPE text": "directus_roles.name is text NOT NULL, where Directus 10.13 has",
    "ALTER TABLE directus_roles ADD parent uuid": "between Directus 10 and 11. Of 11 it has directus_roles.parent",
    "CREATE TABLE directus_policies (id uuid)": "between Directus 10 and 11. Of 11 it has directus_policies",
    "INSERT INTO directus_migrations VALUES ('20240806A', 'Permissions Policies')": "directus_migrations records",
    "DELETE FROM directus_migrations WHERE version = '20240716A'": "older than 10.13",
    "CREATE TABLE rollcall_version (id integer)": "rollcall migrate down base",
    "ALTER TABLE directus_permissions DROP CONSTRAINT directus_permissions_role_foreign; "
    "UPDATE directus_permissions SET role = gen_random_uuid() WHERE id = 5": "such as 5",
    "INSERT INTO directus_roles (id, name) VALUES ('abf8a154-5b1c-4a46-ac9c-7300570f4f17', 'x')": "A role has the id",
    "CREATE VIEW admins AS SELECT id FROM directus_roles WHERE admin_access": "A view, a foreign key or another object",
    "ALTER TABLE directus_roles DROP CONSTRAINT directus_roles_pkey CASCADE": "with the code 42704",
}


@pytest.mark.parametrize("change", UNSUPPORTED_STATES)
async def test_an_unsupported_database_is_described_and_not_changed(readonly_v10, change):
    async with rolled_back(readonly_v10, *change.split("; ")) as connection:
        before = await snapshot(connection)
        with pytest.raises(OperatorError) as caught, translate_db_errors():
            async with connection.begin_nested():
                await upgrade_in_transaction(connection, no_progress)

        assert UNSUPPORTED_STATES[change] in str(caught.value)
        assert await snapshot(connection) == before


async def test_columns_of_the_project_are_preserved(readonly_v10):
    async with rolled_back(readonly_v10, "ALTER TABLE directus_roles ADD motto text DEFAULT 'stays'") as connection:
        await upgrade_in_transaction(connection, no_progress)

        assert {row["motto"] for row in await rows(connection, "directus_roles")} == {"stays"}


def test_a_database_without_directus_tables_is_rejected():
    with pytest.raises(OperatorError, match="not a Directus database"):
        edition_of(DatabaseColumns({"pages": {"id": "integer"}}, ()))


async def test_a_user_that_does_not_own_the_tables_is_rejected(readonly_v10):
    async with opened_by_guest(readonly_v10, "ALL") as guest:
        with pytest.raises(OperatorError, match="must own Directus' tables"):
            await upgrade(guest.database, no_progress)


async def test_a_user_that_may_not_read_the_tables_is_rejected_by_a_preview(readonly_v10):
    async with opened_by_guest(readonly_v10, "INSERT") as guest:
        with pytest.raises(OperatorError, match="must be allowed to read Directus' tables"):
            await preview_upgrade(guest.database, 5, no_progress)


async def test_sqlite_is_rejected_with_what_to_do_instead(tmp_path):
    async with open_system(make_settings(f"sqlite+aiosqlite:///{tmp_path / 'ten.db'}")) as system:
        with pytest.raises(OperatorError, match=r"PostgreSQL databases only.*migrate:latest"):
            await upgrade(system.database, no_progress)
        with pytest.raises(OperatorError, match=r"PostgreSQL databases only.*migrate:latest"):
            await preview_upgrade(system.database, 5, no_progress)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_statement_an_upgrade_has_changed_nothing(writable_v10, step):
    before = await snapshot(database_url(writable_v10))
    killed, after = await snapshots_of_killed_processes("upgrade", database_url(writable_v10), step)

    assert len(killed) > 15 // step
    assert all(state == before for state in killed)
    assert "directus_policies" in {table for _, table, _ in after["rows"]}
