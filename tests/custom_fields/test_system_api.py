"""Custom fields that are created through the API are served at once, on every node, like those of Directus."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.base_data import static_token, uid
from tests.http.test_graphql import ADA, PATH, bearer, served

VI, USERS = f"/users/{uid('vi')}", "/fields/directus_users"
VALUES = {
    "string": "x",
    "text": "it's",
    "integer": 3,
    "bigInteger": str(2**53 + 1),
    "float": 1.5,
    "decimal": "10.50000",
    "boolean": True,
    "json": {"a": [1]},
    "csv": ["a", "b"],
    "uuid": uid("ada"),
    "date": "2024-02-29",
    "time": "08:30:00",
    "dateTime": "2024-02-29T08:30:00",
    "timestamp": "2024-02-29T08:30:00.000Z",
}


@pytest_asyncio.fixture
async def nodes(writable_db):
    """Clients of two servers on one database without custom fields."""
    async with AsyncExitStack() as stack:
        settings = writable_db.settings.model_copy(update={"log_level": "error"})
        yield [await stack.enter_async_context(served(settings)) for _ in range(2)]


async def call(client, method, path, body=None, status=200):
    response = await client.request(method, path, json=body, headers=ADA)
    assert response.status_code == status, response.text
    return response.json().get("data") if response.content else None


async def test_fields_of_every_type_are_written_and_read_on_another_node(nodes):
    first, second = nodes
    for type_ in VALUES:
        await call(first, "POST", USERS, {"field": f"a_{type_}", "type": type_})
    values = {f"a_{type_}": value for type_, value in VALUES.items()}
    names = ",".join(values)

    assert await call(second, "PATCH", f"{VI}?fields={names}", values) == values
    assert await call(first, "GET", f"{VI}?fields={names}") == values


async def test_defaults_are_the_values_of_existing_and_of_new_rows(nodes):
    first, second = nodes
    for type_, value in VALUES.items():
        await call(first, "POST", USERS, {"field": f"a_{type_}", "type": type_, "schema": {"default_value": value}})
    values = {f"a_{type_}": value for type_, value in VALUES.items()}
    created = await call(second, "POST", "/users", {"email": "new@example.com"})

    assert await call(second, "GET", f"{VI}?fields={','.join(values)}") == values
    assert await call(first, "GET", f"/users/{created['id']}?fields={','.join(values)}") == values


async def test_created_fields_are_listed_with_what_they_are(nodes):
    for type_ in (*VALUES, "hash"):
        await call(nodes[0], "POST", USERS, {"field": f"a_{type_}", "type": type_, "meta": {"note": type_}})
    fields = {field["field"]: field for field in await call(nodes[1], "GET", USERS)}
    snapshot = await call(nodes[1], "GET", "/schema/snapshot")

    assert all((fields[f"a_{type_}"]["type"], fields[f"a_{type_}"]["meta"]["note"]) == (type_,) * 2 for type_ in VALUES)
    assert fields["a_hash"]["type"] == "hash"
    assert {field["field"]: field["type"] for field in snapshot["fields"]} == {
        f"a_{type_}": type_ for type_ in (*VALUES, "hash")
    }
    assert all("id" not in field["meta"] for field in snapshot["fields"])


async def test_a_relation_and_its_alias_are_served_and_a_deleted_target_is_forgotten(nodes):
    first, second = nodes
    await call(first, "POST", USERS, {"field": "manager", "type": "uuid", "meta": {"special": ["m2o"]}})
    await call(first, "POST", USERS, {"field": "reports", "type": "alias", "meta": {"special": ["o2m"]}})
    relation = {"collection": "directus_users", "field": "manager", "related_collection": "directus_users"}
    more = {"schema": {"on_delete": "SET NULL"}, "meta": {"one_field": "reports"}}
    await call(first, "POST", "/relations", {**relation, **more})
    await call(second, "PATCH", VI, {"manager": uid("ed")})
    query = f'{{ users_by_id(id: "{uid("ed")}") {{ reports {{ id manager {{ id }} }} }} }}'
    nested = (await second.post(PATH, json={"query": query}, headers=ADA)).json()
    listed = {(entry["collection"], entry["field"]) for entry in await call(second, "GET", "/relations/directus_users")}
    await call(second, "DELETE", f"/users/{uid('ed')}", status=204)

    assert nested == {"data": {"users_by_id": {"reports": [{"id": uid("vi"), "manager": {"id": uid("ed")}}]}}}
    assert ("directus_users", "manager") in listed
    assert await call(first, "GET", f"{VI}?fields=manager") == {"manager": None}


async def test_a_changed_length_holds_on_every_node(nodes):
    first, second = nodes
    await call(first, "POST", USERS, {"field": "phone", "type": "string", "schema": {"max_length": 3}})
    await call(second, "PATCH", VI, {"phone": "12345"}, status=400)
    await call(first, "PATCH", f"{USERS}/phone", {"schema": {"max_length": 5}})
    assert (await call(second, "GET", f"{USERS}/phone"))["schema"]["max_length"] == 5

    assert (await call(second, "PATCH", f"{VI}?fields=phone", {"phone": "12345"})) == {"phone": "12345"}


@pytest.mark.slow
async def test_a_changed_type_and_special_hold_on_every_node_at_once(nodes):
    first, second = nodes
    await call(first, "POST", USERS, {"field": "code", "type": "integer"})
    await call(second, "PATCH", VI, {"code": 7})
    await call(first, "PATCH", f"{USERS}/code", {"type": "bigInteger"})
    as_big = await call(second, "GET", f"{VI}?fields=code")
    await call(first, "POST", USERS, {"field": "pin", "type": "string"})
    await call(second, "PATCH", VI, {"pin": "1234"})
    await call(first, "PATCH", f"{USERS}/pin", {"meta": {"special": ["conceal"]}})

    assert as_big == {"code": "7"}
    assert await call(second, "GET", f"{VI}?fields=pin") == {"pin": "**********"}


async def test_a_dropped_field_is_gone_on_every_node(nodes):
    first, second = nodes
    await call(first, "POST", USERS, {"field": "phone", "type": "string"})
    await call(second, "PATCH", VI, {"phone": "1"})
    await call(first, "DELETE", f"{USERS}/phone", status=204)

    for client in nodes:
        await call(client, "GET", f"{VI}?fields=phone", status=403)
        await call(client, "GET", f"{USERS}/phone", status=403)


@pytest.mark.slow
async def test_a_process_that_is_killed_in_the_middle_leaves_nothing_and_blocks_nobody(writable_db):
    command = [sys.executable, "-m", "tests.custom_fields.killed_change", writable_db.settings.database_url]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == -signal.SIGKILL

    async with served(writable_db.settings) as client:
        assert (await call(client, "GET", "/schema/snapshot"))["fields"] == []
        await call(client, "GET", f"{USERS}/phone", status=403)
        phone = {"field": "phone", "type": "string", "schema": {"is_indexed": True}}
        assert (await call(client, "POST", USERS, phone))["schema"]["is_indexed"]


@pytest.mark.parametrize("name", ["vi", "ed"])
async def test_a_new_field_is_described_only_to_those_who_may_read_it(nodes, name):
    await call(nodes[0], "POST", USERS, {"field": "phone", "type": "string"})
    response = await nodes[1].get(f"{USERS}/phone", headers=bearer(static_token(name)))

    assert response.status_code == 403
