"""Collections, fields and relations over REST: as Directus describes them, and as far as the caller may read them."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import pytest_asyncio

from app.query.collection import BUILT_IN
from tests.base_data import caller, static_token
from tests.http.test_graphql import bearer, served

RECORDED = json.loads((Path(__file__).parents[1] / "compat/system_api.json").read_text())
"""What Directus 11.17 answers about its own collections on PostgreSQL, without empty values."""
ADA, ED, ANN = (bearer(static_token(name)) for name in ("ada", "ed", "ann"))
LISTS = ["/fields", "/fields/directus_users", "/collections", "/relations", "/relations/directus_users"]


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


async def get(client, path, headers=ADA):
    response = await client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def lean(values):
    return {name: value for name, value in values.items() if value not in (None, False, [])}


async def test_the_fields_have_the_types_and_the_presentation_that_directus_gives_them(client):
    fields = {f"{field['collection']}.{field['field']}": field for field in await get(client, "/fields")}

    assert fields.keys() == RECORDED["fields"].keys()
    for name, recorded in RECORDED["fields"].items():
        assert (name, fields[name]["type"]) == (name, recorded["type"])
        assert {**lean(fields[name]["meta"]), **recorded["meta"]} == lean(fields[name]["meta"]), name


async def test_columns_are_described_as_by_directus(client, readonly_db):
    if readonly_db.database.dialect == "sqlite":
        pytest.skip("recorded on PostgreSQL; SQLite spells types differently")
    for field in await get(client, "/fields"):
        recorded = RECORDED["fields"][f"{field['collection']}.{field['field']}"].get("schema")
        schema = field["schema"]
        expected = recorded and {"name": field["field"], "table": field["collection"], **recorded}
        assert (schema and lean(schema)) == expected


async def test_keys_defaults_and_lengths_of_columns_are_described_on_both_databases(client):
    fields = {field["field"]: field["schema"] for field in await get(client, "/fields/directus_users")}

    assert fields["policies"] is None
    assert fields["id"].items() >= {"is_primary_key": True, "is_unique": True, "is_nullable": False}.items()
    assert fields["email"].items() >= {"is_primary_key": False, "is_unique": True, "max_length": 128}.items()
    assert fields["status"].items() >= {"default_value": "active", "is_nullable": False, "max_length": 16}.items()
    assert fields["email_notifications"]["default_value"] is True
    assert fields["role"].items() >= {"foreign_key_table": "directus_roles", "foreign_key_column": "id"}.items()


async def test_the_collections_are_those_that_are_served(client):
    collections = {entry["collection"]: entry for entry in await get(client, "/collections")}

    assert collections.keys() == BUILT_IN.keys()
    for name, recorded in RECORDED["collections"].items():
        assert lean(collections[name]["meta"]).items() >= recorded.items()
    assert await get(client, "/collections/directus_users") == collections["directus_users"]


async def test_the_relations_are_those_of_directus(client, readonly_db):
    relations = [
        {**relation, "meta": lean(relation["meta"]), "schema": relation["schema"] and lean(relation["schema"])}
        for relation in await get(client, "/relations")
    ]
    expected = deepcopy(RECORDED["relations"])
    if readonly_db.database.dialect == "sqlite":  # it has no schemas, and no names of constraints
        missing = {"constraint_name", "foreign_key_schema"}
        for relation in (*relations, *expected):
            relation["schema"] = relation["schema"] and {
                name: value for name, value in relation["schema"].items() if name not in missing
            }

    def by_name(entry):
        return entry["collection"], entry["field"], str(entry["meta"].get("one_field"))

    assert sorted(relations, key=by_name) == sorted(expected, key=by_name)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("headers", [{}, ED])
async def test_lists_need_the_right_to_read_the_table_that_describes_them(client, path, headers):
    response = await client.get(path, headers=headers)

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")


async def test_app_access_includes_the_lists_of_what_its_caller_may_read(client):
    fields = {(field["collection"], field["field"]) for field in await get(client, "/fields", ANN)}
    collections = {entry["collection"] for entry in await get(client, "/collections", ANN)}
    relations = {(entry["collection"], entry["field"]) for entry in await get(client, "/relations", ANN)}

    assert collections == {f"directus_{name}" for name in ("users", "roles", "activity", "settings")}
    assert {collection for collection, _ in fields} == collections
    assert ("directus_users", "email") in fields
    assert ("directus_users", "token") not in fields
    assert ("directus_users", "role") in relations
    assert ("directus_users", "avatar") not in relations, "files cannot be read"


async def test_a_field_is_described_to_everyone_who_may_read_it(client):
    assert (await get(client, "/fields/directus_users/email", ED))["type"] == "string"
    assert (await get(client, "/collections/directus_users", ED))["collection"] == "directus_users"


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("hidden", "missing"),
    [
        ("/fields/directus_users/tfa_secret", "/fields/directus_users/nothing"),
        ("/fields/directus_settings/project_name", "/fields/directus_nothing/project_name"),
        ("/collections/directus_settings", "/collections/directus_nothing"),
    ],
)
async def test_what_the_caller_may_not_read_looks_like_what_does_not_exist(client, hidden, missing):
    responses = [await client.get(path, headers=ED) for path in (hidden, missing)]
    texts = [
        response.text.replace("directus_settings", "directus_nothing").replace("tfa_secret", "nothing")
        for response in responses
    ]

    assert [response.status_code for response in responses] == [403, 403]
    assert texts[0] == texts[1]


async def test_a_snapshot_names_the_version_and_is_for_admins(client, readonly_db):
    snapshot = await get(client, "/schema/snapshot")
    response = await client.get("/schema/snapshot", headers=ANN)

    assert snapshot["directus"] == "11.17.4"
    assert snapshot["vendor"] == {"postgresql": "postgres"}.get(readonly_db.database.dialect, "sqlite")
    assert (snapshot["collections"], snapshot["fields"], snapshot["relations"]) == ([], [], [])
    assert {(field["collection"], field["field"]) for field in snapshot["systemFields"]} == {
        ("directus_activity", "timestamp"),
        ("directus_revisions", "activity"),
        ("directus_revisions", "parent"),
    }
    assert response.status_code == 403


@pytest.mark.parametrize("export", ["yaml", "csv"])
async def test_a_snapshot_in_another_format_is_rejected(client, export):
    response = await client.get(f"/schema/snapshot?export={export}", headers=ADA)

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, "INVALID_QUERY")


@pytest.mark.parametrize("path", ["/schema", "/schema/nothing", "/fields/directus_users/email/x", "/collections/a/b"])
async def test_other_paths_do_not_exist(client, path):
    assert (await client.get(path, headers=ADA)).status_code == 404


async def test_a_field_keeps_the_case_of_its_name_in_a_path(client):
    assert (await client.get("/FIELDS/directus_users/email/", headers=ADA)).status_code == 200
    assert (await client.get("/fields/directus_users/EMAIL", headers=ADA)).status_code == 403


@pytest.mark.both_databases
async def test_a_suspended_user_is_told_nothing(client):
    response = await client.get("/fields", headers=bearer(static_token("sue")))

    assert response.status_code == 401


async def test_a_description_takes_one_statement(readonly_db):
    directory = readonly_db.directory(caller("ada"))
    await directory.catalog.fields()
    before = readonly_db.database.reader.statements
    await directory.catalog.fields("directus_users")

    assert readonly_db.database.reader.statements - before == 1
