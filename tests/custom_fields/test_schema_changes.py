"""Fields that are added, changed or dropped while servers run: no restart, on no node."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.base_data import static_token, uid
from tests.custom_fields.database import describe, relate
from tests.http.test_graphql import ADA, PATH, bearer, served
from tests.writes.conftest import run_sql

VI, ADA_USER = f"/users/{uid('vi')}", f"/users/{uid('ada')}"
ADD_NICKNAME = f"ALTER TABLE directus_users ADD COLUMN nickname varchar(20); {describe('nickname')}"
DROP_NICKNAME = "DELETE FROM directus_fields WHERE field = 'nickname'; ALTER TABLE directus_users DROP COLUMN nickname"
NICKNAME_QUERY = f'{{ users_by_id(id: "{uid("vi")}") {{ nickname }} }}'


@pytest_asyncio.fixture
async def nodes(writable_db):
    """Clients of two servers on one database without custom fields; both have answered requests."""
    async with AsyncExitStack() as stack:
        settings = writable_db.settings.model_copy(update={"log_level": "error"})
        clients = [await stack.enter_async_context(served(settings)) for _ in range(2)]
        for client in clients:
            assert (await client.get(VI, headers=ADA)).status_code == 200
            assert (await ask(client, NICKNAME_QUERY)).status_code == 400
        yield clients


async def ask(client, query):
    return await client.post(PATH, json={"query": query}, headers=ADA)


async def sql(system, statements):
    await run_sql(system.settings.database_url, statements + ";")


async def test_a_new_field_is_available_at_the_next_request_on_every_node(writable_db, nodes):
    await sql(writable_db, ADD_NICKNAME)
    first, second = nodes

    response = await first.patch(f"{VI}?fields=nickname", json={"nickname": "V"}, headers=ADA)
    assert (response.status_code, response.json()) == (200, {"data": {"nickname": "V"}})
    response = await ask(second, NICKNAME_QUERY)
    assert response.json() == {"data": {"users_by_id": {"nickname": "V"}}}


@pytest.mark.parametrize(
    "path",
    [f"{VI}?fields=nickname", "/users?filter[nickname][_null]=true&limit=1", "/users?sort=nickname", f"{VI}?fields=*"],
)
async def test_every_kind_of_read_knows_a_new_field(writable_db, nodes, path):
    await sql(writable_db, ADD_NICKNAME)
    responses = [await nodes[0].get(path, headers=ADA) for _ in range(2)]

    assert [response.status_code for response in responses] == [200] * 2
    assert "fields" not in path or all("nickname" in response.text for response in responses)


@pytest.mark.parametrize("path", ["/fields", "/schema/snapshot", "/server/specs/oas", "/server/specs/graphql/system"])
async def test_every_description_over_rest_names_a_new_field(writable_db, nodes, path):
    await sql(writable_db, ADD_NICKNAME)
    responses = [await client.get(path, headers=ADA) for client in nodes]

    assert [response.status_code for response in responses] == [200, 200]
    assert all("nickname" in response.text for response in responses)


@pytest.mark.parametrize(
    "query",
    ['{ fields_in_collection(collection: "directus_users") { field } }', "{ server_specs_oas }"],
)
async def test_every_description_in_graphql_names_a_new_field(writable_db, nodes, query, caplog):
    await sql(writable_db, ADD_NICKNAME)
    responses = [await ask(client, query) for client in nodes]

    assert all("nickname" in response.text for response in responses)
    assert caplog.records == []


async def test_descriptions_name_a_new_field_on_the_node_that_created_it(writable_db, nodes):
    body = {"field": "nickname", "type": "string"}
    assert (await nodes[0].post("/fields/directus_users", json=body, headers=ADA)).status_code == 200

    for client in nodes:
        assert "nickname" in (await client.get("/schema/snapshot", headers=ADA)).text
        assert "nickname" in (await client.get("/fields", headers=ADA)).text


async def test_a_mutation_knows_a_new_field(writable_db, nodes):
    await sql(writable_db, ADD_NICKNAME)
    mutation = f'mutation {{ update_users_item(id: "{uid("vi")}", data: {{ nickname: "V" }}) {{ nickname }} }}'

    assert (await ask(nodes[0], mutation)).json() == {"data": {"update_users_item": {"nickname": "V"}}}


async def test_a_dropped_field_is_gone_at_the_next_request(writable_db, nodes):
    await sql(writable_db, ADD_NICKNAME)
    for client in nodes:
        assert (await client.get(f"{VI}?fields=nickname", headers=ADA)).status_code == 200
        assert (await ask(client, NICKNAME_QUERY)).status_code == 200
    await sql(writable_db, DROP_NICKNAME)

    for client in nodes:
        assert (await client.get(f"{VI}?fields=nickname", headers=ADA)).status_code == 403
        assert (await client.patch(VI, json={"nickname": "V"}, headers=ADA)).status_code == 403
        assert (await ask(client, NICKNAME_QUERY)).status_code == 400
        assert "nickname" not in (await client.get(VI, headers=ADA)).json()["data"]


async def test_a_write_of_old_fields_needs_no_second_attempt_after_a_change(writable_db, nodes):
    await sql(writable_db, ADD_NICKNAME)
    response = await nodes[0].patch(VI, json={"title": "x"}, headers=ADA)

    assert response.status_code == 200


async def test_a_mutation_with_several_fields_is_not_executed_twice(writable_db, nodes):
    await sql(writable_db, ADD_NICKNAME)
    fields = " ".join(f'm{n}: create_users_item(data: {{ email: "n{n}@example.com" }}) {{ email }}' for n in range(3))
    response = await ask(nodes[0], f"mutation {{ {fields} }}")

    assert response.json() == {"data": {f"m{n}": {"email": f"n{n}@example.com"} for n in range(3)}}


async def test_a_column_that_is_dropped_without_its_description_is_a_clean_error(writable_db, nodes):
    await sql(writable_db, ADD_NICKNAME)
    client = nodes[0]
    assert (await client.get(f"{VI}?fields=nickname", headers=ADA)).status_code == 200
    await sql(writable_db, "ALTER TABLE directus_users DROP COLUMN nickname")

    response = await client.get(f"{VI}?fields=nickname", headers=ADA)
    assert response.status_code == 503
    assert "fields of the directory have just changed" in response.text


async def test_requests_that_arrive_together_after_a_change_all_succeed(writable_db, nodes):
    await sql(writable_db, ADD_NICKNAME)
    requests = [client.get(f"{VI}?fields=nickname", headers=ADA) for client in nodes for _ in range(10)]

    assert {response.status_code for response in await asyncio.gather(*requests)} == {200}


async def test_permissions_cover_a_new_field_by_name_and_by_star_only(writable_db, nodes):
    await sql(writable_db, ADD_NICKNAME)
    await writable_db.load(
        {
            "directus_permissions": [
                {
                    "id": 8_001,
                    "policy": uid("policy-Viewers"),
                    "collection": "directus_users",
                    "action": "read",
                    "permissions": {"title": {"_eq": "named"}},
                    "fields": ["id", "nickname"],
                }
            ]
        }
    )
    client, headers = nodes[0], bearer(static_token("vi"))
    await client.patch(ADA_USER, json={"title": "named", "nickname": "A"}, headers=ADA)
    await client.patch(VI, json={"title": "other", "nickname": "V"}, headers=ADA)

    rows = (await client.get("/users?fields=nickname&filter[nickname][_nnull]=true", headers=headers)).json()["data"]
    assert {"nickname": "A"} in rows
    assert {"nickname": "V"} not in rows


@pytest.mark.both_databases
async def test_a_rule_that_names_a_dropped_field_grants_nothing(writable_db, nodes):
    await sql(writable_db, ADD_NICKNAME)
    await writable_db.load(
        {
            "directus_permissions": [
                {
                    "id": 8_001,
                    "policy": uid("policy-Viewers"),
                    "collection": "directus_files",
                    "action": "read",
                    "permissions": {"uploaded_by": {"nickname": {"_null": True}}},
                    "fields": ["*"],
                }
            ]
        }
    )
    client, headers = nodes[0], bearer(static_token("vi"))
    assert (await client.get("/files", headers=headers)).status_code == 200
    await sql(writable_db, DROP_NICKNAME)

    assert (await client.get("/files", headers=headers)).status_code == 403


async def test_a_new_relation_with_its_alias_is_served(writable_db, nodes):
    is_sqlite = writable_db.database.dialect == "sqlite"
    type_ = "char(36)" if is_sqlite else "uuid"
    statements = [
        f"ALTER TABLE directus_users ADD COLUMN buddy {type_} REFERENCES directus_users ON DELETE SET NULL",
        describe("buddy", "m2o"),
        describe("buddies", "o2m"),
        relate("buddy", "directus_users", "buddies"),
    ]
    await sql(writable_db, "; ".join(statements))
    await nodes[0].patch(VI, json={"buddy": uid("ada")}, headers=ADA)

    response = await ask(nodes[1], f'{{ users_by_id(id: "{uid("ada")}") {{ buddies {{ email buddy {{ email }} }} }} }}')
    assert response.json()["data"]["users_by_id"] == {
        "buddies": [{"email": "vi@example.com", "buddy": {"email": "ada@example.com"}}]
    }
    assert (await nodes[1].delete(ADA_USER, headers=bearer(static_token("ada")))).status_code in (204, 400, 403, 422)


async def test_an_upload_whose_body_cannot_be_read_again_is_asked_to_try_again(writable_db, nodes):
    badge = f"ALTER TABLE directus_files ADD COLUMN badge varchar(20); {describe('badge', collection='directus_files')}"
    await sql(writable_db, badge)
    uploads = [
        await nodes[0].post("/files?fields=badge", data={"badge": "x"}, files={"file": ("a.txt", b"a")}, headers=ADA)
        for _ in range(2)
    ]

    assert [response.status_code for response in uploads] == [503, 200]
    assert "try again" in uploads[0].text
    assert uploads[1].json()["data"] == {"badge": "x"}


async def test_an_unknown_field_is_rejected_while_another_program_writes(writable_db, nodes):
    async with asyncio.timeout(4), writable_db.database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE directus_users SET title = title")
        response = await nodes[0].get("/users?fields=no_such_field", headers=ADA)

    assert response.status_code == 403
