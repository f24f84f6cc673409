"""Migrations up and down, on an empty database and on one that Directus created."""

import hashlib
import json
import subprocess
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from app.core.errors import OperatorError
from app.db import migrate
from app.db.models import DIRECTUS_TABLES
from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.base_data import BASE_ROWS
from tests.conftest import HAS_POSTGRESQL, make_settings

needs_postgresql = pytest.mark.skipif(
    not HAS_POSTGRESQL, reason="the recorded Directus databases need PostgreSQL, and no server answers"
)
TABLES = {table.name for table in DIRECTUS_TABLES}


async def tables(system):
    async with system.database.transaction() as connection:
        return set(await connection.run_sync(lambda sync_connection: inspect(sync_connection).get_table_names()))


async def test_up_creates_every_table_and_down_removes_them(empty_database_url):
    async with open_system(make_settings(empty_database_url)) as system:
        await migrate.migrate_up(system.database)
        up = await tables(system)
        await migrate.migrate_up(system.database)
        await migrate.migrate_down(system.database)
        down = await tables(system)

    assert up >= TABLES | {"rollcall_version", "rollcall_lock"}
    assert {name for name in down if not name.startswith("sqlite_")} == set()


async def test_down_is_rejected_if_rows_would_be_lost_unless_forced(empty_database_url):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await system.load(BASE_ROWS)
        with pytest.raises(OperatorError, match="would delete users"):
            await migrate.migrate_down(system.database)
        before = await tables(system)
        await migrate.migrate_down(system.database, force=True)
        after = await tables(system)

    assert before >= TABLES
    assert not after & TABLES


async def test_down_to_an_unknown_revision_is_rejected(empty_database_url):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await migrate.migrate_up(system.database)
        with pytest.raises(OperatorError, match=r"no such revision; `rollcall migrate down base`"):
            await migrate.migrate_down(system.database, "nonsense")

        assert await tables(system) >= TABLES


async def test_up_on_a_database_of_a_newer_rollcall_is_rejected_and_changes_nothing(empty_database_url):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await migrate.migrate_up(system.database)
        await system.database.run_in_transaction(
            lambda connection: connection.execute(text("UPDATE rollcall_migrations SET version_num = '9'"))
        )
        with pytest.raises(OperatorError, match="by a newer Rollcall"):
            await migrate.migrate_up(system.database)

        assert await tables(system) >= TABLES


async def test_rows_of_bootstrap_alone_are_removed_without_force(empty_database_url):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await migrate.migrate_down(system.database)

        assert not await tables(system) & TABLES


async def run(system, *statements):
    async with system.database.transaction() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def fetch(system, query):
    async with system.database.transaction() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def test_every_table_has_a_primary_key_of_one_column_because_directus_ignores_others(empty_database_url):
    def primary_keys(connection):
        names = inspect(connection).get_table_names()
        return {name: inspect(connection).get_pk_constraint(name)["constrained_columns"] for name in names}

    async with open_system(make_settings(empty_database_url)) as system:
        await migrate.migrate_up(system.database)
        async with system.database.transaction() as connection:
            keys = await connection.run_sync(primary_keys)

    assert {name for name, key in keys.items() if len(key) != 1} == {"sqlite_sequence"} & keys.keys()


@pytest.mark.parametrize("origins", [["false"], ["true"], ["false", "true"]])
async def test_primary_keys_are_added_and_removed_without_loss(empty_database_url, origins):
    """Also if tables without a primary key contain duplicates: adopted tables stay adopted, the last code counts."""
    codes = 'SELECT "user", purpose, step FROM rollcall_used_codes ORDER BY step'
    async with open_system(make_settings(empty_database_url)) as system:
        await bootstrap(system.database, system.settings)
        await migrate.migrate_down(system.database, "0006")
        insert = "INSERT INTO rollcall_used_codes (\"user\", purpose, step) SELECT id, '{}', {} FROM directus_users"
        await run(
            system,
            "DELETE FROM rollcall_origin",
            *(f"INSERT INTO rollcall_origin VALUES ({origin})" for origin in origins),
            *recreate_without_key(system),
            *(insert.format(purpose, step) for purpose, step in (("login", 7), ("login", 9), ("tfa", 8))),
        )
        await migrate.migrate_up(system.database)
        up = (await fetch(system, "SELECT adopted FROM rollcall_origin"), await fetch(system, codes))
        with pytest.raises(IntegrityError):
            await run(system, insert.format("login", 10))
        await migrate.migrate_down(system.database, "0006")
        down = (await fetch(system, "SELECT adopted FROM rollcall_origin"), await fetch(system, codes))
        with pytest.raises(IntegrityError):
            await run(system, insert.format("login", 10))

    assert up == down
    assert [tuple(map(bool, row)) for row in up[0]] == [("true" in origins,)]
    assert [row[1:] for row in up[1]] == [("tfa", 8), ("login", 9)]


def recreate_without_key(system):
    """Return statements that remove the primary key of the used codes, as a restored database may lack it."""
    if system.database.dialect == "postgresql":
        return ["ALTER TABLE rollcall_used_codes DROP CONSTRAINT rollcall_used_codes_pkey"]
    return [
        "DROP TABLE rollcall_used_codes",
        'CREATE TABLE rollcall_used_codes ("user" CHAR(36) NOT NULL, purpose VARCHAR(16) NOT NULL, step BIGINT)',
    ]


def pg(tool, url, *arguments, stdin=None):
    process = subprocess.run([tool, *arguments, url], input=stdin, capture_output=True, text=True, check=True)
    # pg_dump writes a new random key around every dump.
    return "\n".join(
        line for line in process.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))
    )


@pytest.fixture
async def directus(empty_database_url, recordings):
    """The URL of a database that a real Directus left, with a column and a table of a project."""
    if empty_database_url.startswith("sqlite"):
        pytest.skip("the recorded Directus databases are on PostgreSQL")
    pg(
        "psql",
        empty_database_url,
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-o",
        "/dev/null",
        stdin=(recordings / "migration/v11_migrated.sql").read_text(),
    )
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute("ALTER TABLE public.directus_users ADD COLUMN shoe_size integer DEFAULT 42")
    await connection.execute("CREATE TABLE public.project_table (id serial PRIMARY KEY, word text)")
    await connection.execute("INSERT INTO public.project_table (word) VALUES ('stays')")
    await connection.close()
    return empty_database_url


def rows(url):
    return pg("pg_dump", url, "-a", "--inserts", "-t", "public.directus_*", "-t", "public.project_table")


@needs_postgresql
async def test_adopting_and_migrating_down_leaves_a_database_unchanged(directus):
    settings = make_settings(directus)
    schema_before, rows_before = pg("pg_dump", directus, "-s"), rows(directus)
    async with open_system(settings) as system:
        result = await bootstrap(system.database, settings)
        rows_adopted = rows(directus)
        await migrate.migrate_down(system.database)

    assert result.admin is None
    assert fingerprint(rows_adopted) == fingerprint(rows_before) == fingerprint(rows(directus))
    assert pg("pg_dump", directus, "-s") == schema_before


@needs_postgresql
async def test_an_adopted_database_can_be_queried_by_its_users(directus, recordings):
    settings = make_settings(directus)
    users = json.loads((recordings / "migration/v11_migrated/directus_users.json").read_text())
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        admin = await system.as_user(next(row["email"] for row in users if (row["email"] or "").startswith("admin")))
        result = await system.execute("{ users(limit: -1) { id } }", caller=admin.caller)

    assert result.data is not None
    assert {row["id"] for row in result.data["users"]} == {row["id"] for row in users}


@needs_postgresql
async def test_a_missing_column_is_named_and_nothing_is_changed(directus):
    connection = await asyncpg.connect(directus)
    await connection.execute("ALTER TABLE public.directus_users DROP COLUMN text_direction")
    await connection.close()
    before = pg("pg_dump", directus, "-s")
    settings = make_settings(directus)
    async with open_system(settings) as system:
        with pytest.raises(OperatorError, match=r"directus_users\.text_direction is missing"):
            await bootstrap(system.database, settings)

    assert pg("pg_dump", directus, "-s") == before


@needs_postgresql
async def test_the_created_tables_have_the_columns_of_directus(empty_database_url, recordings):
    if empty_database_url.startswith("sqlite"):
        pytest.skip("compared on PostgreSQL, where Directus' layout is recorded")
    server = urlsplit(empty_database_url)
    recorded = server._replace(path=server.path + "_recorded").geturl()
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(f"CREATE DATABASE {server.path[1:]}_recorded TEMPLATE template0")
    try:
        dump = (recordings / "oracle/directus-tables.sql").read_text()
        pg("psql", recorded, "-q", "-o", "/dev/null", stdin=dump)
        async with open_system(make_settings(empty_database_url)) as system:
            await migrate.migrate_up(system.database)
        assert await columns(empty_database_url) == await columns(recorded)
    finally:
        await connection.execute(f"DROP DATABASE {server.path[1:]}_recorded WITH (FORCE)")
        await connection.close()


async def columns(url):
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        """SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
        FROM information_schema.columns WHERE table_name = ANY($1) ORDER BY 1, 2""",
        sorted(TABLES),
    )
    await connection.close()
    return [tuple(row) for row in rows]


def fingerprint(dump):
    return hashlib.sha256(dump.encode()).hexdigest()


WATCHED = ["directus_roles", "directus_policies", "directus_access", "directus_permissions"]


@pytest.mark.parametrize("table", WATCHED)
@pytest.mark.parametrize("verb", ["insert", "update", "delete", "truncate"])
async def test_every_write_to_the_access_tables_changes_the_access_version(writable_db, table, verb):
    if verb == "truncate" and writable_db.database.dialect == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    no_rows = f"INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0"
    statements = {
        "insert": no_rows if writable_db.database.dialect == "postgresql" else insert_one(table),
        "update": f"UPDATE {table} SET id = id",
        "delete": f"DELETE FROM {table}",
        "truncate": f"TRUNCATE {table} CASCADE",
    }
    before = await version(writable_db)
    async with writable_db.database.transaction() as connection:
        if verb == "delete":
            await connection.execute(text("UPDATE directus_roles SET parent = NULL"))
        await connection.execute(text(statements[verb]))

    assert await version(writable_db) != before


def insert_one(table):
    key, policy = "'00000000-0000-4000-8000-000000000000'", "FROM directus_policies LIMIT 1"
    return {
        "directus_roles": f"INSERT INTO directus_roles (id, name) VALUES ({key}, 'x')",
        "directus_policies": f"INSERT INTO directus_policies (id, name) VALUES ({key}, 'x')",
        "directus_access": f"INSERT INTO directus_access (id, policy) SELECT {key}, id {policy}",
        "directus_permissions": (
            f"INSERT INTO directus_permissions (collection, action, policy) SELECT 'x', 'read', id {policy}"
        ),
    }[table]


async def version(system):
    async with system.database.transaction() as connection:
        return str(await connection.scalar(text("SELECT token FROM rollcall_version")))


@needs_postgresql
async def test_a_write_of_a_user_without_privileges_on_rollcalls_tables_changes_the_access_version(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("SQLite has no users")
    before = await version(writable_db)
    connection = await asyncpg.connect(writable_db.settings.database_url)
    name = f"rollcall_test_{hashlib.sha256(writable_db.settings.database_url.encode()).hexdigest()[:8]}"
    await connection.execute(f"CREATE ROLE {name}")
    try:
        await connection.execute(f"GRANT SELECT, UPDATE ON directus_permissions TO {name}")
        await connection.execute(f"SET ROLE {name}")
        await connection.execute("UPDATE directus_permissions SET action = 'read' WHERE id = 1")
        await connection.execute("RESET ROLE")
    finally:
        await connection.execute(f"DROP OWNED BY {name}")
        await connection.execute(f"DROP ROLE {name}")
        await connection.close()

    assert await version(writable_db) != before


async def test_a_transaction_changes_the_access_version_once(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("SQLite changes it for each row, which is cheap there")
    async with writable_db.database.transaction() as connection:
        before = await connection.scalar(text("SELECT token FROM rollcall_version"))
        for _ in range(3):
            await connection.execute(text("UPDATE directus_policies SET icon = 'x'"))
        within = await connection.scalar(text("SELECT token FROM rollcall_version"))
        markers = await connection.scalar(text("SELECT count(*) FROM rollcall_touched"))
    async with writable_db.database.transaction() as connection:
        left = await connection.scalar(text("SELECT count(*) FROM rollcall_touched"))

    assert (before == within, markers, left) == (True, 1, 0)
    assert await version(writable_db) != str(before)
