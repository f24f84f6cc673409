"""What an upgrade makes of a Directus 10 database is what Directus' own migration makes of it, row for row."""

import re

import asyncpg
import pytest
import pytest_asyncio

from app.db import migrate
from app.db.models import DIRECTUS_TABLES
from app.db.refusal import Refusal
from app.flows.bootstrap import bootstrap
from app.flows.transfer import export_file, import_file
from app.testing import open_system
from app.upgrade.locks import HELD
from app.upgrade.survey import survey
from app.upgrade.up import upgrade
from tests.conftest import make_settings
from tests.upgrade.conftest import dump, recorded, tsv

MOVED = ("directus_roles", "directus_policies", "directus_access", "directus_permissions")
LATER = {
    ("directus_roles", "icon"): "character varying(30)",  # 20240817A makes it longer
    ("directus_users", "text_direction"): None,  # 20250718A adds it
}
"""Columns of these tables that other migrations of Directus' change: what they are before that."""


def silent(step, done, of):
    pass


@pytest_asyncio.fixture
async def upgraded(ten):
    """A database of Directus 10 after an upgrade, and what it was like before."""
    told = []
    ten.before = dump(ten.settings.database_url)
    ten.done = await upgrade(ten.database, lambda *step: told.append(step))
    ten.told = told
    ten.connection = await asyncpg.connect(ten.settings.database_url)
    yield ten
    await ten.connection.close()


async def rows(connection, table, key="id"):
    found = await connection.fetch(f'SELECT row_to_json(t)::text AS row FROM {table} t ORDER BY "{key}"')
    return [parsed(row["row"]) for row in found]


def parsed(text):
    import json

    return json.loads(text)


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
    after = dump(upgraded.settings.database_url)
    changed = {line for line in set(upgraded.before.splitlines()) ^ set(after.splitlines()) if line.strip()}
    tables = {"directus_roles", "directus_permissions", "directus_policies", "directus_access", "directus_migrations"}

    async def without(text):
        return [part for part in text.split("\n--\n") if not any(name in part for name in tables)]

    assert changed
    assert await without(after) == await without(upgraded.before)


async def test_it_is_recorded_as_directus_records_it(upgraded):
    version, name, moment = (
        await upgraded.connection.fetch("SELECT * FROM directus_migrations ORDER BY version DESC LIMIT 1")
    )[0]

    assert (version, name) == ("20240806A", "Permissions Policies")
    assert moment


async def test_what_is_done_is_told_step_by_step(upgraded):
    assert [step for step, done, of in upgraded.told if done == of] == ["permissions", "roles"]
    assert ("permissions", 76, 76) in upgraded.told
