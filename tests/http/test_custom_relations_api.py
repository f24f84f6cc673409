"""Creating, changing and dropping the relations of custom fields over REST."""

import pytest
import pytest_asyncio

from tests.base_data import uid
from tests.http.test_custom_fields_api import ADA, code_of, create, fetch, run
from tests.http.test_graphql import served

RELATIONS = "/relations"
MANAGER = {"collection": "directus_users", "field": "manager", "related_collection": "directus_users"}
PATH = f"{RELATIONS}/directus_users/manager"


@pytest_asyncio.fixture
async def client(writable_db):
    async with served(writable_db.settings) as client:
        await create(client, "manager", "uuid", schema={"is_indexed": True})
        yield client


async def foreign_keys(system, field):
    """Return what the foreign keys of a column of users refer to, and what happens when such a row is deleted."""
    queries = {
        "sqlite": (
            f"SELECT \"table\", on_delete FROM pragma_foreign_key_list('directus_users') WHERE \"from\" = '{field}'"
        ),
        "postgresql": (
            "SELECT 'directus_users', delete_rule FROM information_schema.referential_constraints "
            f"WHERE constraint_name = 'directus_users_{field}_foreign'"
        ),
    }
    return await fetch(system, queries[system.database.dialect])


async def create_relation(client, **parts):
    response = await client.post(RELATIONS, json={**MANAGER, **parts}, headers=ADA)
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def test_a_relation_gets_a_foreign_key_and_a_row(client, writable_db):
    await run(writable_db, f"UPDATE directus_users SET manager = '{uid('ada')}' WHERE id = '{uid('ed')}'")
    relation = await create_relation(client, schema={"on_delete": "SET NULL"}, meta={"one_field": "reports"})

    assert relation["related_collection"] == "directus_users"
    assert relation["meta"].items() >= {"one_field": "reports", "one_deselect_action": "nullify"}.items()
    assert relation["schema"]["on_delete"] == "SET NULL"
    assert await foreign_keys(writable_db, "manager") == [("directus_users", "SET NULL")]
    stored = await fetch(writable_db, f"SELECT manager FROM directus_users WHERE id = '{uid('ed')}'")
    assert str(stored[0][0]) == uid("ada")


async def test_a_relation_keeps_the_index_of_its_field(client):
    await create_relation(client)
    response = await client.patch("/fields/directus_users/manager", json={}, headers=ADA)

    assert (
        response.json()["data"]["schema"].items()
        >= {
            "is_indexed": True,
            "foreign_key_table": "directus_users",
        }.items()
    )


async def test_a_relation_is_changed(client, writable_db):
    await create_relation(client)
    body = {"schema": {"on_delete": "CASCADE"}, "meta": {"one_field": "reports", "one_deselect_action": "delete"}}
    response = await client.patch(PATH, json=body, headers=ADA)

    assert response.status_code == 200, response.text
    assert response.json()["data"]["meta"].items() >= body["meta"].items()
    assert await foreign_keys(writable_db, "manager") == [("directus_users", "CASCADE")]


async def test_a_dropped_relation_leaves_its_field(client, writable_db):
    await create_relation(client, schema={"on_delete": "SET NULL"})
    await run(writable_db, f"UPDATE directus_users SET manager = '{uid('ada')}' WHERE id = '{uid('ed')}'")
    response = await client.delete(PATH, headers=ADA)

    assert response.status_code == 204
    assert await foreign_keys(writable_db, "manager") == []
    assert await fetch(writable_db, "SELECT count(*) FROM directus_relations") == [(0,)]
    assert await fetch(writable_db, "SELECT count(manager) FROM directus_users") == [(1,)]
    assert code_of(await client.delete(PATH, headers=ADA)) == (400, "INVALID_PAYLOAD")


async def test_a_dropped_field_takes_its_relation_and_its_alias_along(client, writable_db):
    await create(client, "reports", "alias", meta={"special": ["o2m"]})
    await create_relation(client, meta={"one_field": "reports"})
    response = await client.delete("/fields/directus_users/manager", headers=ADA)

    assert response.status_code == 204
    assert await fetch(writable_db, "SELECT count(*) FROM directus_relations") == [(0,)]
    assert await fetch(writable_db, "SELECT count(*) FROM directus_fields") == [(0,)]


async def test_a_dropped_alias_leaves_the_relation(client, writable_db):
    await create(client, "reports", "alias", meta={"special": ["o2m"]})
    await create_relation(client, meta={"one_field": "reports"})
    await client.delete("/fields/directus_users/reports", headers=ADA)

    assert await fetch(writable_db, "SELECT one_field FROM directus_relations") == [(None,)]


async def test_values_that_refer_to_nothing_keep_a_relation_from_being_created(client, writable_db):
    await run(writable_db, f"UPDATE directus_users SET manager = '{uid('nobody')}' WHERE id = '{uid('ed')}'")
    response = await client.post(RELATIONS, json=MANAGER, headers=ADA)

    assert code_of(response) == (400, "INVALID_FOREIGN_KEY")
    assert await foreign_keys(writable_db, "manager") == []


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"collection": None}, '"collection" is required'),
        ({"field": None}, '"field" is required'),
        ({"related_collection": None}, '"related_collection" is required'),
        ({"field": 5}, '"field" must be a string'),
        ({"collection": "directus_nothing"}, 'Collection "directus_nothing" doesn\'t exist'),
        ({"related_collection": "articles"}, 'Collection "articles" doesn\'t exist'),
        ({"collection": "directus_activity"}, "built-in fields only"),
        ({"field": "nothing"}, 'Field "nothing" doesn\'t exist'),
        ({"field": "role", "related_collection": "directus_roles"}, "already has"),
        ({"field": "email"}, "cannot get a relation"),
        ({"related_collection": "directus_permissions"}, "keys of collection"),
        ({"schema": {"on_delete": "EXPLODE"}}, '"schema.on_delete" must be one of'),
        ({"schema": {"foo": 1}}, '"schema.foo" is not allowed'),
        ({"meta": {"foo": 1}}, '"meta.foo" is not allowed'),
        ({"meta": {"one_field": "email"}}, 'Field "email" already exists'),
        ({"meta": {"one_field": "a b"}}, "must begin with a letter"),
        ({"meta": {"one_deselect_action": "explode"}}, "must be one of [nullify, delete]"),
        ({"foo": 1}, '"foo" is not allowed'),
    ],
)
async def test_an_invalid_relation_is_rejected_with_the_reason(client, writable_db, changes, message):
    response = await client.post(RELATIONS, json={**MANAGER, **changes}, headers=ADA)

    assert code_of(response) == (400, "INVALID_PAYLOAD")
    assert message in response.json()["errors"][0]["message"]
    assert await foreign_keys(writable_db, "manager") == []


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("field", ["role", "nothing", "manager"])
async def test_only_an_existing_relation_of_a_project_is_changed(client, method, field):
    response = await client.request(method, f"/relations/directus_users/{field}", json={}, headers=ADA)

    assert code_of(response) == (400, "INVALID_PAYLOAD")


async def test_a_field_has_one_relation(client):
    await create_relation(client)
    response = await client.post(RELATIONS, json=MANAGER, headers=ADA)

    assert code_of(response) == (400, "INVALID_PAYLOAD")
    assert "already has an associated relationship" in response.json()["errors"][0]["message"]


async def test_a_relation_keeps_its_ends(client):
    await create_relation(client)
    response = await client.patch(PATH, json={"related_collection": "directus_roles"}, headers=ADA)

    assert code_of(response) == (400, "INVALID_PAYLOAD")
