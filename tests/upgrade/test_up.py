"""What an upgrade makes of a Directus 10 database is what Directus' own migration makes of it, row for row."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.db import migrate
from app.db.engine import parse_url
from app.db.models import DIRECTUS_TABLES
from app.db.refusal import Refusal
from app.flows.bootstrap import bootstrap
from app.flows.transfer import export_file, import_file
from app.testing import open_system
from app.upgrade import locks
from app.upgrade.form import Found, form_of
from app.upgrade.survey import survey
from app.upgrade.up import upgrade, upgrade_within
from tests.conftest import make_settings
from tests.upgrade.conftest import dump, recorded, tsv

MOVED = ("directus_roles", "directus_policies", "directus_access", "directus_permissions")
ROWS = ("directus_roles", "directus_permissions", "directus_users", "directus_migrations", "directus_settings")
DIGEST = f"""
    SELECT md5(concat_ws('|',
        (SELECT string_agg(format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)), ',' ORDER BY oid)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
        (SELECT string_agg(attrelid::regclass || ' ' || attname, ',' ORDER BY attrelid, attnum) FROM pg_attribute
            JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace),
        {", ".join(f"(SELECT string_agg(t::text, ',' ORDER BY t::text) FROM {table} t)" for table in ROWS)}
    ))
"""
"""Of all columns and constraints of a database, and of the rows that an upgrade could get at."""
LATER = {
    ("directus_roles", "icon"): "character varying(30)",  # 20240817A makes it longer
    ("directus_users", "text_direction"): None,  # 20250718A adds it
}
"""Columns of these tables that other migrations of Directus' change: what they are before that."""


def silent(step, done, of):
    pass


@asynccontextmanager
async def taken_back(system):
    """A connection whose transaction is rolled back at the end."""
    engine = create_async_engine(parse_url(system.settings.database_url))
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()
    await engine.dispose()


async def digest(system):
    async with taken_back(system) as connection:
        return await connection.scalar(text(DIGEST))


async def rows(connection, table, key="id"):
    found = await connection.fetch(f'SELECT row_to_json(t)::text AS row FROM {table} t ORDER BY "{key}"')
    return [json.loads(row["row"]) for row in found]


def ordered(found, key="id"):
    return sorted(found, key=lambda row: row[key])


@pytest.mark.parametrize("table", ["directus_roles", "directus_policies", "directus_permissions"])
async def test_every_row_is_as_directus_own_migration_leaves_it(upgraded, table):
    assert ordered(await rows(upgraded.connection, table)) == ordered(recorded("v11_migrated", table))


async def test_every_role_is_given_its_policy_and_the_public_its_own(upgraded):
    def told(found):
        return sorted([(row["role"], row["user"], row["policy"], row["sort"]) for row in found], key=str)

    found = await rows(upgraded.connection, "directus_access")

    assert told(found) == told(recorded("v11_migrated", "directus_access"))
    assert len({row["id"] for row in found}) == len(found) == upgraded.done.roles + 1


@pytest.mark.parametrize("table", ["directus_users", "directus_settings"])
async def test_users_and_settings_stay_as_they_are(upgraded, table):
    assert ordered(await rows(upgraded.connection, table)) == ordered(recorded("v10", table))


async def test_the_tables_are_laid_out_as_directus_own_migration_lays_them_out(upgraded):
    for name, laid_out in (("columns", COLUMNS), ("constraints", CONSTRAINTS), ("indexes", INDEXES)):
        found = [list(row) for row in await upgraded.connection.fetch(laid_out)]
        golden = [line for line in tsv("v11_migrated", name) if line[0] in (*MOVED, "directus_users")]
        if name == "columns":
            golden = [before(line) for line in golden if LATER.get((line[0], line[1]), "") is not None]
        for table in (*MOVED, "directus_users"):
            there = [line for line in found if line[0] == table]
            assert there, (name, table)
            assert there == [line for line in golden if line[0] == table], (name, table)


def before(line):
    return [*line[:2], LATER.get((line[0], line[1]), line[2]), *line[3:]]


COLUMNS = """
    SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END, coalesce(pg_get_expr(d.adbin, d.adrelid), '')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relname LIKE 'directus%' AND c.relkind = 'r' ORDER BY c.relname, a.attnum
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid::regclass::text LIKE 'directus%' ORDER BY 1, 2
"""
INDEXES = "SELECT tablename::text, indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"


async def test_nothing_else_in_the_database_is_touched(upgraded):
    after = dump(upgraded.url)
    changed = {line for line in set(upgraded.before.splitlines()) ^ set(after.splitlines()) if line.strip()}
    tables = {"directus_roles", "directus_permissions", "directus_policies", "directus_access", "directus_migrations"}

    def without(dumped):
        return [part for part in dumped.split("\n--\n") if not any(name in part for name in tables)]

    assert changed
    assert without(after) == without(upgraded.before)


async def test_it_is_recorded_as_directus_records_it(upgraded):
    version, name, moment = (
        await upgraded.connection.fetch("SELECT * FROM directus_migrations ORDER BY version DESC LIMIT 1")
    )[0]

    assert (version, name) == ("20240806A", "Permissions Policies")
    assert moment


async def test_what_is_done_is_told_step_by_step(upgraded):
    assert [step for step, done, of in upgraded.told if done == of] == ["policies", "access", "permissions", "roles"]
    assert ("permissions", 76, 76) in upgraded.told


async def test_a_second_time_nothing_is_done(upgraded):
    after = dump(upgraded.url)

    assert await upgrade(upgraded.system.database, silent) is None
    assert await survey(upgraded.system.database, 5, silent) is None
    assert dump(upgraded.url) == after


async def test_what_directus_own_migrations_made_is_upgraded_already(eleven_url):
    async with open_system(make_settings(eleven_url)) as system:
        assert await upgrade(system.database, silent) is None


async def test_two_at_once_are_one_upgrade_and_one_that_finds_it_done(ten):
    done = await asyncio.gather(*(upgrade(ten.database, silent) for _ in range(2)))

    assert {bool(one) for one in done} == {True, False}


async def test_the_columns_that_directus_other_migrations_add_are_told_and_bootstrap_names_them(upgraded):
    models = {f"{table.name}.{column.name}" for table in DIRECTUS_TABLES for column in table.columns}
    there = {f"{row[0]}.{row[1]}" for row in await upgraded.connection.fetch(COLUMNS)}

    assert set(upgraded.done.lacking) == models - there
    assert "directus_users.text_direction" in upgraded.done.lacking
    with pytest.raises(Refusal, match="are missing") as refused:
        await bootstrap(upgraded.system.database, upgraded.system.settings)
    assert all(name in str(refused.value) for name in upgraded.done.lacking)


@pytest.mark.parametrize("command", [migrate.up, None])
async def test_bootstrap_calls_a_directus_10_database_by_its_name(still_ten, command):
    before = await digest(still_ten)
    with pytest.raises(Refusal, match=r"Directus 10 database.*rollcall upgrade --dry-run"):
        await (command(still_ten.database) if command else bootstrap(still_ten.database, still_ten.settings))

    assert await digest(still_ten) == before


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
    url = still_ten.settings.database_url
    other = await asyncpg.connect(url, server_settings={"application_name": "a neighbour"})
    before = await digest(still_ten)
    try:
        await other.execute("BEGIN; SELECT 1 FROM directus_roles")
        monkeypatch.setattr(locks, "WAIT", "100ms")
        with pytest.raises(Refusal, match=r"a neighbour \(process \d+, idle in transaction\).*Stop Directus"):
            await upgrade(still_ten.database, silent)
    finally:
        await other.close()

    assert await digest(still_ten) == before


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
    "CREATE VIEW admins AS SELECT id FROM directus_roles WHERE admin_access": "A view, or something else",
    "ALTER TABLE directus_roles DROP CONSTRAINT directus_roles_pkey CASCADE": "with its code 42704",
}


@pytest.mark.parametrize("change", BROKEN)
async def test_what_is_no_whole_directus_10_database_is_left_alone(still_ten, change):
    async with taken_back(still_ten) as connection:
        for statement in change.split("; "):
            await connection.execute(text(statement))
        before = await connection.scalar(text(DIGEST))
        with pytest.raises(Refusal) as refused:
            async with connection.begin_nested():
                await upgrade_within(connection, silent)

        assert BROKEN[change] in str(refused.value)
        assert await connection.scalar(text(DIGEST)) == before


async def test_a_projects_own_columns_stay(still_ten):
    async with taken_back(still_ten) as connection:
        await connection.execute(text("ALTER TABLE directus_roles ADD motto text DEFAULT 'stays'"))
        await upgrade_within(connection, silent)

        assert await connection.scalar(text("SELECT array_agg(DISTINCT motto) FROM directus_roles")) == ["stays"]


def test_where_nothing_of_directus_is_there_is_nothing_to_upgrade():
    with pytest.raises(Refusal, match="not a Directus database"):
        form_of(Found({"pages": {"id": "integer"}}, ()))


async def test_who_does_not_own_the_tables_is_told_so(still_ten):
    name = f"guest_{uuid4().hex[:8]}"
    connection = await asyncpg.connect(still_ten.settings.database_url)
    await connection.execute(f"CREATE ROLE {name} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
    url = urlsplit(still_ten.settings.database_url)
    guest = url._replace(netloc=f"{name}@{url.netloc.rpartition('@')[2]}").geturl()
    try:
        async with open_system(make_settings(guest)) as system:
            with pytest.raises(Refusal, match="should own Directus' tables"):
                await upgrade(system.database, silent)
    finally:
        await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await connection.close()


async def test_sqlite_is_refused_with_what_to_do_instead(tmp_path):
    async with open_system(make_settings(f"sqlite+aiosqlite:///{tmp_path / 'ten.db'}")) as system:
        for look in (lambda: upgrade(system.database, silent), lambda: survey(system.database, 5, silent)):
            with pytest.raises(Refusal, match=r"only done on PostgreSQL.*migrate:latest"):
                await look()
