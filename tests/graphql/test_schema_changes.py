"""Creating, changing and dropping custom fields and relations over GraphQL, which only admins see."""

import pytest

from tests.base_data import caller

CREATE = """mutation ($data: write_directus_fields_input!) {
    create_fields_item(collection: "directus_users", data: $data) {
        collection field type meta { note special width } schema { data_type default_value max_length }
    }
}"""
PHONE = {
    "field": "phone",
    "type": "string",
    "meta": {"note": "Work", "special": ["conceal"]},
    "schema": {"max_length": 20, "default_value": "none"},
}


async def run(system, query, variables=None, name="ada"):
    return await system.execute(query, variables, caller(name))


async def test_a_field_is_created_changed_and_dropped(writable_db):
    created = await run(writable_db, CREATE, {"data": PHONE})
    update = """mutation { update_fields_item(
        collection: "directus_users", field: "phone", data: { meta: { note: "New" } }, concurrentIndexCreation: true
    ) { field meta { note } } }"""
    changed = await run(writable_db, update)
    drop = 'mutation { delete_fields_item(collection: "directus_users", field: "phone") { collection field } }'
    dropped = await run(writable_db, drop)

    assert created.errors is None
    field = created.data["create_fields_item"]
    assert field["schema"].items() >= {"default_value": "none", "max_length": 20}.items()
    assert field["meta"] == {"note": "Work", "special": ["conceal"], "width": "full"}
    assert changed.data == {"update_fields_item": {"field": "phone", "meta": {"note": "New"}}}
    assert dropped.data == {"delete_fields_item": {"collection": "directus_users", "field": "phone"}}


async def test_several_fields_are_changed_at_once(writable_db):
    await run(writable_db, CREATE, {"data": PHONE})
    query = """mutation { update_fields_items(
        collection: "directus_users", data: [{ field: "phone", meta: { sort: 4 } }]
    ) { field meta { sort } } }"""

    assert (await run(writable_db, query)).data == {"update_fields_items": {"field": "phone", "meta": {"sort": 4}}}


@pytest.mark.parametrize(("type_", "default"), [("integer", "3"), ("boolean", "true"), ("json", '{"a": 1}')])
async def test_defaults_are_texts(writable_db, type_, default):
    data = {"field": "extra", "type": type_, "schema": {"default_value": default}}
    result = await run(writable_db, CREATE, {"data": data})

    assert result.errors is None
    assert result.data["create_fields_item"]["schema"]["default_value"].replace(" ", "") == default.replace(" ", "")


async def test_a_relation_is_created_changed_and_dropped(writable_db):
    await run(writable_db, CREATE, {"data": {"field": "manager", "type": "uuid"}})
    create = """mutation { create_relations_item(data: {
        collection: "directus_users", field: "manager", related_collection: "directus_users"
        meta: { one_field: "team" }
    }) { related_collection schema { on_delete } meta { one_field one_deselect_action } } }"""
    created = await run(writable_db, create)
    update = """mutation { update_relations_item(
        collection: "directus_users", field: "manager", data: { meta: { one_deselect_action: "delete" } }
    ) { meta { one_deselect_action } } }"""
    changed = await run(writable_db, update)
    drop = 'mutation { delete_relations_item(collection: "directus_users", field: "manager") { collection field } }'
    dropped = await run(writable_db, drop)

    assert created.data["create_relations_item"] == {
        "related_collection": "directus_users",
        "schema": {"on_delete": "NO ACTION"},
        "meta": {"one_field": "team", "one_deselect_action": "nullify"},
    }
    assert changed.data == {"update_relations_item": {"meta": {"one_deselect_action": "delete"}}}
    assert dropped.data == {"delete_relations_item": {"collection": "directus_users", "field": "manager"}}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"field": "phone"}, '"type" is required'),
        ({"type": "string"}, '"field" is required'),
        ({"field": "email", "type": "string"}, "already exists"),
        ({"field": "phone", "type": "money"}, '"type" must be one of'),
    ],
)
async def test_an_invalid_field_is_an_error_of_its_mutation(readonly_db, data, reason):
    result = await run(readonly_db, CREATE, {"data": data})

    assert result.data == {"create_fields_item": None}
    assert result.errors[0].original_error.code == "INVALID_PAYLOAD"
    assert reason in result.errors[0].original_error.text


@pytest.mark.parametrize("name", [None, "ed", "ann"])
async def test_others_do_not_have_the_mutations(readonly_db, name):
    query = 'mutation { delete_fields_item(collection: "directus_users", field: "email") { field } }'
    result = await run(readonly_db, query, name=name)

    assert "Cannot query field" in result.errors[0].message


async def test_a_built_in_field_cannot_be_dropped(readonly_db):
    query = 'mutation { delete_fields_item(collection: "directus_users", field: "email") { field } }'
    result = await run(readonly_db, query)

    assert result.errors[0].original_error.code == "INVALID_PAYLOAD"
