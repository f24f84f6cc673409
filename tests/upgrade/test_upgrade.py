"""What an upgrade makes of a Directus 10 database is what Directus' own migration makes of it, row for row."""

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
from app.upgrade.edition import form_of
from app.upgrade.inspection import DatabaseColumns
from app.upgrade.upgrade import upgrade, upgrade_within
from app.upgrade.upgrade_preview import survey
from tests.conftest import make_settings
from tests.upgrade.databases import (
    STEPS,
    address,
    as_guest,
    dump,
    killed_all_the_way,
    quiet,
    recorded,
    recorded_layout,
    taken_back,
)
from tests.upgrade.snapshots import layout, picture, rows

MOVED = ("directus_roles", "directus_policies", "directus_access", "directus_permissions")
LATER = {
    ("directus_roles", "icon"): "character varying(30)",  # 20240817A makes it longer
    ("directus_users", "text_direction"): None,  # 20250718A adds it
}
"""Columns of these tables that other migrations of Directus' change: what they are before that."""


def ordered(found, key="id"):
    return sorted(found, key=lambda row: row[key])


@pytest.mark.parametrize("table", ["directus_roles", "directus_policies", "directus_permissions"])
async def test_every_row_is_as_directus_own_migration_leaves_it(upgraded, table):
    assert ordered(await rows(upgraded.url, table)) == ordered(recorded("v11_migrated", table))


async def test_every_role_is_given_its_policy_and_the_public_its_own(upgraded):
    def told(found):
        return sorted([(row["role"], row["user"], row["policy"], row["sort"]) for row in found], key=str)

    found = await rows(upgraded.url, "directus_access")

    assert told(found) == told(recorded("v11_migrated", "directus_access"))
    assert len({row["id"] for row in found}) == len(found) == upgraded.done.roles + 1


@pytest.mark.parametrize("table", ["directus_users", "directus_settings"])
async def test_users_and_settings_stay_as_they_are(upgraded, table):
    assert ordered(await rows(upgraded.url, table)) == ordered(recorded("v10", table))


async def test_the_tables_are_laid_out_as_directus_own_migration_lays_them_out(upgraded):
    tables = (*MOVED, "directus_users")
    for kind in ("columns", "constraints", "indexes"):
        golden = [line for line in recorded_layout("v11_migrated", kind) if line[0] in tables]
        if kind == "columns":
            golden = [before(line) for line in golden if LATER.get(line[:2], "") is not None]
        found = [line for line in await layout(upgraded.url, kind) if line[0] in tables]

        assert sorted(found, key=itemgetter(0)) == sorted(golden, key=itemgetter(0))  # in a table their order counts
        assert {line[0] for line in golden} == set(tables)


def before(line):
    return (*line[:2], LATER.get(line[:2], line[2]), *line[3:])


async def test_nothing_else_in_the_database_is_touched(upgraded):
    after = dump(upgraded.url)
    changed = {line for line in set(upgraded.before.splitlines()) ^ set(after.splitlines()) if line.strip()}
    tables = {"directus_roles", "directus_permissions", "directus_policies", "directus_access", "directus_migrations"}

    def without(dumped):
        return [part for part in dumped.split("\n--\n") if not any(name in part for name in tables)]

    assert changed
    assert without(after) == without(upgraded.before)


async def test_it_is_recorded_as_directus_records_it(upgraded):
    newest = max(await rows(upgraded.url, "directus_migrations"), key=lambda row: row["version"])

    assert (newest["version"], newest["name"]) == ("20240806A", "Permissions Policies")
    assert newest["timestamp"]


async def test_what_is_done_is_told_step_by_step(upgraded):
    assert [step for step, done, of in upgraded.told if done == of] == ["policies", "access", "permissions", "roles"]
    assert ("permissions", 76, 76) in upgraded.told


async def test_a_second_time_nothing_is_done(upgraded):
    after = dump(upgraded.url)

    assert await upgrade(upgraded.system.database, quiet) is None
    assert await survey(upgraded.system.database, 5, quiet) is None
    assert dump(upgraded.url) == after


async def test_what_directus_own_migrations_made_is_upgraded_already(eleven_url):
    async with open_system(make_settings(eleven_url)) as system:
        assert await upgrade(system.database, quiet) is None


async def test_two_at_once_are_one_upgrade_and_one_that_finds_it_done(ten):
    done = await asyncio.gather(*(upgrade(ten.database, quiet) for _ in range(2)))

    assert {bool(one) for one in done} == {True, False}


async def test_the_columns_that_directus_other_migrations_add_are_told_and_bootstrap_names_them(upgraded):
    models = {f"{table.name}.{column.name}" for table in DIRECTUS_TABLES for column in table.columns}
    there = {f"{row[0]}.{row[1]}" for row in await layout(upgraded.url, "columns")}

    assert set(upgraded.done.lacking) == models - there
    assert "directus_users.text_direction" in upgraded.done.lacking
    with pytest.raises(OperatorError, match="are missing") as refused:
        await bootstrap(upgraded.system.database, upgraded.system.settings)
    assert all(name in str(refused.value) for name in upgraded.done.lacking)


@pytest.mark.parametrize("command", [migrate.migrate_up, None])
async def test_bootstrap_calls_a_directus_10_database_by_its_name(still_ten, command):
    before = await picture(address(still_ten))
    with pytest.raises(OperatorError, match=r"Directus 10 database.*rollcall upgrade --dry-run"):
        await (command(still_ten.database) if command else bootstrap(still_ten.database, still_ten.settings))

    assert await picture(address(still_ten)) == before


async def test_an_upgraded_world_can_be_taken_to_sqlite(eleven_url, tmp_path):
    settings, file = make_settings(eleven_url), tmp_path / "world.json"
    elsewhere = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'world.db'}")
    async with open_system(settings) as here, open_system(elsewhere) as there:
        await bootstrap(here.database, settings)
        await export_file(here.database, file)
        await bootstrap(there.database, elsewhere)
        await import_file(there.database, file)
        await export_file(there.database, tmp_path / "again.json")

    taken, again = (json.loads(path.read_text()) for path in (file, tmp_path / "again.json"))
    assert len(taken["directus_policies"]) == 34
    assert again == taken


async def test_whoever_holds_the_tables_is_named(still_ten, monkeypatch):
    monkeypatch.setattr(locks, "WAIT", "100ms")
    before = await picture(address(still_ten))
    async with taken_back(still_ten, "SET application_name = 'a neighbour'", "SELECT FROM directus_roles"):
        with pytest.raises(OperatorError, match=r"a neighbour \(process \d+, idle in transaction\).*Stop Directus"):
            await upgrade(still_ten.database, quiet)

    assert await picture(address(still_ten)) == before


BROKEN = {
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
    "CREATE VIEW admins AS SELECT id FROM directus_roles WHERE admin_access": "A view, a foreign key or something else",
    "ALTER TABLE directus_roles DROP CONSTRAINT directus_roles_pkey CASCADE": "with its code 42704",
}


@pytest.mark.parametrize("change", BROKEN)
async def test_what_is_no_whole_directus_10_database_is_left_alone(still_ten, change):
    async with taken_back(still_ten, *change.split("; ")) as connection:
        before = await picture(connection)
        with pytest.raises(OperatorError) as refused, translate_db_errors():
            async with connection.begin_nested():
                await upgrade_within(connection, quiet)

        assert BROKEN[change] in str(refused.value)
        assert await picture(connection) == before


async def test_a_projects_own_columns_stay(still_ten):
    async with taken_back(still_ten, "ALTER TABLE directus_roles ADD motto text DEFAULT 'stays'") as connection:
        await upgrade_within(connection, quiet)

        assert {row["motto"] for row in await rows(connection, "directus_roles")} == {"stays"}


def test_where_nothing_of_directus_is_there_is_nothing_to_upgrade():
    with pytest.raises(OperatorError, match="not a Directus database"):
        form_of(DatabaseColumns({"pages": {"id": "integer"}}, ()))


async def test_who_does_not_own_the_tables_is_told_so(still_ten):
    async with as_guest(still_ten, "ALL") as guest:
        with pytest.raises(OperatorError, match="should own Directus' tables"):
            await upgrade(guest.database, quiet)


async def test_who_may_not_read_the_tables_is_told_so_by_a_look(still_ten):
    async with as_guest(still_ten, "INSERT") as guest:
        with pytest.raises(OperatorError, match="should be allowed to read Directus' tables"):
            await survey(guest.database, 5, quiet)


async def test_sqlite_is_refused_with_what_to_do_instead(tmp_path):
    async with open_system(make_settings(f"sqlite+aiosqlite:///{tmp_path / 'ten.db'}")) as system:
        for look in (lambda: upgrade(system.database, quiet), lambda: survey(system.database, 5, quiet)):
            with pytest.raises(OperatorError, match=r"only done on PostgreSQL.*migrate:latest"):
                await look()


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_statement_it_has_changed_nothing(ten, step):
    before = await picture(address(ten))
    killed, after = await killed_all_the_way("up", address(ten), step)

    assert len(killed) > 15 // step
    assert all(there == before for there in killed)
    assert "directus_policies" in {table for _, table, _ in after["rows"]}
