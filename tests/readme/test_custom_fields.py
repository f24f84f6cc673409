"""The examples of the page about custom fields work in their order."""

import orjson

from tests.base_data import uid
from tests.cli.commands import run_command
from tests.http.test_graphql import ADA, PATH, served
from tests.readme.pages import page, section, snippets

PAGE = "concepts/custom-fields.md"


async def test_a_field_is_added_and_queried(writable_db):
    (description,) = snippets("json", section(PAGE, "Add a field"))
    (query,) = snippets("graphql", page(PAGE))
    async with served(writable_db.settings) as client:
        assert (await client.get("/users/me", headers=ADA)).status_code == 200
        response = await client.post("/fields/directus_users", json=orjson.loads(description), headers=ADA)
        assert response.status_code == 200, response.text
        await client.patch(f"/users/{uid('vi')}", json={"phone": "+49 1"}, headers=ADA)
        response = await client.post(PATH, json={"query": query}, headers=ADA)

    assert response.json() == {"data": {"users": [{"email": "vi@example.com", "phone": "+49 1"}]}}


async def test_the_command_adds_the_same_field(writable_db):
    (command,) = snippets("sh", section(PAGE, "Add a field"))
    result = await run_command(writable_db.settings.database_url, *command.split()[1:])
    assert result.code == 0, result.err
    async with served(writable_db.settings) as client:
        response = await client.get("/fields/directus_users/phone", headers=ADA)

    field = response.json()["data"]
    assert (field["type"], field["schema"]["max_length"]) == ("string", 32)


async def test_a_relation_is_added_and_followed(writable_db):
    field, alias, relation = map(orjson.loads, snippets("json", section(PAGE, "Relations")))
    query = f'{{ users_by_id(id: "{uid("ada")}") {{ reports {{ email manager {{ email }} }} }} }}'
    async with served(writable_db.settings) as client:
        for path, body in (
            ("/fields/directus_users", field),
            ("/fields/directus_users", alias),
            ("/relations", relation),
        ):
            response = await client.post(path, json=body, headers=ADA)
            assert response.status_code == 200, response.text
        await client.patch(f"/users/{uid('vi')}", json={"manager": uid("ada")}, headers=ADA)
        response = await client.post(PATH, json={"query": query}, headers=ADA)

    reports = [{"email": "vi@example.com", "manager": {"email": "ada@example.com"}}]
    assert response.json() == {"data": {"users_by_id": {"reports": reports}}}
