"""Collections, fields and relations over GraphQL: what REST answers, under the types that Directus has for it."""

import pytest

from tests.base_data import caller

ALL = """{
    collections { collection meta { icon hidden archive_app_filter collapse versioning } schema { name } }
    collections_by_name(name: "directus_users") { collection }
    fields { collection field meta { id } }
    fields_in_collection(collection: "directus_users") { field }
    fields_by_name(collection: "directus_users", field: "status") {
        collection field type meta { id special readonly hidden note } schema { data_type default_value is_nullable }
    }
    relations { collection field }
    relations_in_collection(collection: "directus_users") { field related_collection }
    relations_by_name(collection: "directus_users", field: "role") { schema { on_delete } meta { id one_field } }
}"""


async def test_an_admin_sees_everything(readonly_db):
    result = await readonly_db.execute(ALL, caller=caller("ada"))
    data = result.data

    assert result.errors is None
    assert len(data["collections"]) == 10
    assert data["collections_by_name"] == {"collection": "directus_users"}
    assert data["fields_by_name"]["schema"] == {
        "data_type": "character varying" if readonly_db.database.dialect == "postgresql" else "varchar",
        "default_value": "active",
        "is_nullable": False,
    }
    assert {field["field"] for field in data["fields_in_collection"]} >= {"id", "email", "policies"}
    assert [relation["field"] for relation in data["relations_in_collection"]] == ["avatar", "role"]
    assert data["relations_by_name"] == {
        "schema": {"on_delete": "SET NULL"},
        "meta": {"id": None, "one_field": "users"},
    }


async def test_built_in_fields_have_numbers_that_differ_in_place_of_keys(readonly_db):
    fields = (await readonly_db.execute("{ fields { meta { id } } }", caller=caller("ada"))).data["fields"]
    ids = [field["meta"]["id"] for field in fields]

    assert len(set(ids)) == len(ids)
    assert max(ids) < 0


@pytest.mark.parametrize("name", [None, "ed", "nora"])
@pytest.mark.parametrize("field", ["collections { collection }", "fields { field }", "relations { field }"])
async def test_callers_without_the_right_to_list_do_not_have_the_fields(readonly_db, name, field):
    result = await readonly_db.execute(f"{{ {field} }}", caller=caller(name))

    assert "Cannot query field" in result.errors[0].message


async def test_app_access_shows_what_its_caller_may_read(readonly_db):
    result = await readonly_db.execute(
        "{ fields { collection field } collections { collection } }", caller=caller("ann")
    )
    data = result.data

    assert {entry["collection"] for entry in data["collections"]} == {
        f"directus_{name}" for name in ("users", "roles", "activity", "settings")
    }
    assert {"collection": "directus_users", "field": "token"} not in data["fields"]


@pytest.mark.both_databases
async def test_a_collection_that_is_hidden_or_missing_has_no_fields(readonly_db):
    query = (
        '{ a: fields_in_collection(collection: "%s") { field } b: relations_in_collection(collection: "%s") { field } }'
    )
    results = [
        await readonly_db.execute(query % (name, name), caller=caller("ann"))
        for name in ("directus_files", "directus_nothing")
    ]

    assert [result.data for result in results] == [{"a": [], "b": []}] * 2


@pytest.mark.both_databases
@pytest.mark.parametrize("field", ["token", "nothing"])
async def test_a_field_that_is_hidden_or_missing_is_forbidden(readonly_db, field):
    query = f'{{ fields_by_name(collection: "directus_users", field: "{field}") {{ field }} }}'
    result = await readonly_db.execute(query, caller=caller("ann"))

    assert result.data == {"fields_by_name": None}
    assert result.errors[0].original_error.code == "FORBIDDEN"
