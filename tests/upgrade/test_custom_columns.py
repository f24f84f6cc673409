"""Upgrades and reverts leave the columns that a project added as they are, with their values and descriptions."""

import pytest_asyncio

from app.upgrade.revert import revert_in_transaction
from app.upgrade.upgrade import upgrade_in_transaction
from tests.custom_fields.database import COLUMNS, describe, relate
from tests.upgrade.databases import no_progress, opened_copy, rolled_back
from tests.upgrade.snapshots import layout, rows

CUSTOM = {
    "directus_users": {name: types[0] for name, types in COLUMNS.items()},
    "directus_roles": {"cost_center": "varchar(9) UNIQUE", "lead": "uuid REFERENCES directus_users ON DELETE SET NULL"},
}
DESCRIPTIONS = ("directus_fields", "directus_relations", "directus_collections")


def added_columns():
    for table, columns in CUSTOM.items():
        for name, type_ in columns.items():
            yield f"ALTER TABLE {table} ADD COLUMN {name} {type_}"
            yield describe(name, collection=table)
    yield relate("manager", "directus_users", "reports")
    yield relate("lead", "directus_users", "leads", collection="directus_roles")
    yield """
        UPDATE directus_users SET phone = '+49 1', salary = 1234.56, birthday = '1990-05-17', hired_at = '2020-01-02',
        checked_at = '2020-01-02T03:04:05Z', skills = '{"b": 1, "a": 2}', pin = 'a hash', manager = id, made_by = id
    """
    yield "UPDATE directus_roles SET cost_center = left(md5(name || id::text), 9)"
    yield "UPDATE directus_roles SET lead = (SELECT min(id::text)::uuid FROM directus_users)"


async def custom_parts(source):
    """Return the custom columns with their values and constraints, and what describes them."""
    columns = [row for row in await layout(source, "columns") if row[1] in CUSTOM.get(row[0], ())]
    constraints = [
        row
        for kind in ("constraints", "indexes")
        for row in await layout(source, kind)
        if any(f"{row[0]}_{name}_" in row[1] for name in CUSTOM.get(row[0], ()))
    ]
    values = {
        table: [{name: row[name] for name in ("id", *names)} for row in await rows(source, table)]
        for table, names in CUSTOM.items()
    }
    return {
        "columns": columns,
        "constraints": sorted(constraints),
        "values": {table: sorted(found, key=lambda row: row["id"]) for table, found in values.items()},
        "descriptions": {table: await rows(source, table) for table in DESCRIPTIONS},
    }


@pytest_asyncio.fixture(scope="module")
async def v10_with_columns(v10_template):
    async with opened_copy(v10_template, *added_columns()) as system:
        yield system


@pytest_asyncio.fixture(scope="module")
async def v11_with_columns(lossless_template):
    async with opened_copy(lossless_template, *added_columns()) as system:
        yield system


async def test_an_upgrade_keeps_custom_columns_and_their_descriptions(v10_with_columns):
    async with rolled_back(v10_with_columns) as connection:
        before = await custom_parts(connection)
        await upgrade_in_transaction(connection, no_progress)
        after = await custom_parts(connection)

    assert after == before
    assert {row[1] for row in after["columns"]} == {name for columns in CUSTOM.values() for name in columns}
    assert len(after["constraints"]) >= 4
    assert after["values"]["directus_users"][0]["salary"] == 1234.56


async def test_a_revert_keeps_custom_columns_and_their_descriptions(v11_with_columns):
    async with rolled_back(v11_with_columns) as connection:
        before = await custom_parts(connection)
        await revert_in_transaction(connection, accept_loss=False, progress=no_progress)
        after = await custom_parts(connection)

    assert after == before
    assert {row["field"] for row in after["descriptions"]["directus_fields"]} >= {"phone", "cost_center"}
