"""The tables that describe fields: created or adopted; a write to them changes the access and the schema token."""

import json

import pytest
from sqlalchemy import inspect, text

from app.core.caller import SYSTEM
from app.core.errors import OperatorError
from app.db import migrate
from app.flows.bootstrap import bootstrap
from app.flows.import_export import export_file, import_file
from app.testing import open_system
from tests.base_data import uid
from tests.conftest import make_settings

SCHEMA_TABLES = ["directus_collections", "directus_fields", "directus_relations"]
INSERTS = {
    "directus_collections": "INSERT INTO directus_collections (collection) VALUES ('articles')",
    "directus_fields": "INSERT INTO directus_fields (collection, field) VALUES ('directus_users', 'phone')",
    "directus_relations": (
        "INSERT INTO directus_relations (many_collection, many_field) VALUES ('directus_users', 'manager')"
    ),
}


async def run(system, *statements):
    async with system.database.transaction() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def tokens(system):
    async with system.database.transaction() as connection:
        row = (await connection.execute(text("SELECT token, schema_token FROM rollcall_version"))).one()
    return tuple(map(str, row))


async def count(system, table):
    async with system.database.transaction() as connection:
        return await connection.scalar(text(f"SELECT count(*) FROM {table}"))


@pytest.mark.parametrize("table", SCHEMA_TABLES)
@pytest.mark.parametrize("verb", ["insert", "update", "delete", "truncate"])
async def test_every_write_to_the_tables_that_describe_fields_changes_both_tokens(writable_db, table, verb):
    if verb == "truncate" and writable_db.database.dialect == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    key = "collection" if table == "directus_collections" else "id"
    statements = {
        "insert": INSERTS[table],
        "update": f"UPDATE {table} SET {key} = {key}",
        "delete": f"DELETE FROM {table}",
        "truncate": f"TRUNCATE {table} CASCADE",
    }
    await run(writable_db, INSERTS[table].replace("articles", "pages"))
    before = await tokens(writable_db)
    await run(writable_db, statements[verb])
    after = await tokens(writable_db)

    assert before[0] != after[0]
    assert before[1] != after[1]


async def test_a_write_to_permissions_changes_the_access_version_only(writable_db):
    before = await tokens(writable_db)
    await run(writable_db, "UPDATE directus_policies SET icon = 'x'")
    after = await tokens(writable_db)

    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.mark.parametrize("schema_first", [True, False])
async def test_a_transaction_that_writes_permissions_too_changes_both_tokens(writable_db, schema_first):
    statements = [INSERTS["directus_fields"], "UPDATE directus_policies SET icon = 'x'"]
    before = await tokens(writable_db)
    await run(writable_db, *(statements if schema_first else reversed(statements)))
    after = await tokens(writable_db)

    assert before[0] != after[0]
    assert before[1] != after[1]


async def test_a_database_of_an_earlier_rollcall_gets_the_tables(empty_database_url):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await migrate.migrate_down(system.database, "0008")
        await bootstrap(system.database, settings)
        await run(system, *INSERTS.values())

        assert [await count(system, table) for table in SCHEMA_TABLES] == [1, 1, 1]


async def test_migrating_down_keeps_the_descriptions_of_fields_unless_it_is_forced(empty_database_url):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await run(system, INSERTS["directus_fields"])
        with pytest.raises(OperatorError, match="delete the descriptions of custom fields"):
            await migrate.migrate_down(system.database, "0008")
        kept = await count(system, "directus_fields")
        await migrate.migrate_down(system.database, "0008", force=True)
        await migrate.migrate_up(system.database)

        assert (kept, await count(system, "directus_fields")) == (1, 0)


async def test_tables_that_directus_created_are_adopted_and_stay_when_migrating_down(empty_database_url):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await migrate.migrate_up(system.database)
        await run(system, "UPDATE rollcall_origin SET adopted = true", INSERTS["directus_fields"])
        await migrate.migrate_down(system.database, "0008")
        await migrate.migrate_up(system.database)

        assert await count(system, "directus_fields") == 1


async def test_export_and_import_carry_the_descriptions_of_fields_and_relations(
    writable_db, empty_database_url, tmp_path
):
    file = tmp_path / "rows.json"
    await run(
        writable_db,
        *INSERTS.values(),
        "UPDATE directus_fields SET special = 'hash,conceal', validation = '{\"phone\": {\"_nnull\": true}}'",
    )
    await export_file(writable_db.database, file)
    exported = json.loads(file.read_text())
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await import_file(system.database, file)
        again = tmp_path / "again.json"
        await export_file(system.database, again)
    imported = json.loads(again.read_text())

    assert exported["directus_fields"][0]["special"] == "hash,conceal"
    assert [imported[table] for table in SCHEMA_TABLES] == [exported[table] for table in SCHEMA_TABLES]


async def test_everything_is_removed_even_if_custom_fields_refer_to_other_tables(writable_db):
    fields = [("directus_users", "badge_photo", "directus_files"), ("directus_users", "manager", "directus_users")]
    directory = writable_db.directory(SYSTEM)
    for collection, field, target in fields:
        await directory.field_writer.create(collection, {"field": field, "type": "uuid"})
        relation = {"collection": collection, "field": field, "related_collection": target}
        await directory.relation_writer.create(relation)
    photo = "INSERT INTO directus_files (id, storage, filename_download) VALUES ('{}', 'local', 'x')"
    await run(
        writable_db,
        photo.format(uid("photo")),
        f"UPDATE directus_users SET manager = id, badge_photo = '{uid('photo')}'",
    )
    await migrate.migrate_down(writable_db.database, force=True)

    async with writable_db.database.transaction() as connection:
        names = await connection.run_sync(lambda sync_connection: inspect(sync_connection).get_table_names())
    assert [name for name in names if name.startswith("directus_")] == []
