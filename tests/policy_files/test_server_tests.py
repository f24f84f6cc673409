"""With POLICY_TESTS, a change of rights with which a test fails is refused, and nothing is changed."""

import pytest
import pytest_asyncio

from app.core.caller import SYSTEM
from app.core.errors import OperatorError
from app.main import create_app
from tests.base_data import static_token, uid
from tests.http.clients import error_of
from tests.http.test_graphql import ADA, bearer, served

TESTS = """
tests:
  - name: Editors read users who are active
    as: Editor
    may: [read users.email]
    sees: [{collection: users, filter: {email: {_nnull: true}}, rows: 7}]
  - as: vi@example.com
    may not: [read users.email]
"""
MESSAGE = "Can't process content. A test of policies fails with this change"


@pytest_asyncio.fixture
async def client(restored_db, tmp_path):
    """A server that runs the tests before every change of rights."""
    (tmp_path / "tests.yaml").write_text(TESTS)
    async with served(restored_db.settings.model_copy(update={"policy_tests": tmp_path / "tests.yaml"})) as client:
        yield client


def message_of(response):
    """Return the message of the error for a change that the tests do not allow."""
    assert error_of(response) == (422, "UNPROCESSABLE_CONTENT")
    return response.json()["errors"][0]["message"]


async def test_a_change_that_makes_a_test_fail_is_refused_with_the_expectation(client, restored_db):
    reason = 'role "Editor" may not read users.email, which is not expected; role "Editor" sees 0 rows of users, not 7'
    permissions = restored_db.directory(SYSTEM)["permissions"]
    update = await client.patch("/permissions/3", json={"fields": ["id"]}, headers=ADA)
    detach = await client.delete(f"/access/{uid('access-Editors-Editor-None')}", headers=ADA)
    mutation = f'mutation {{ delete_policies_item(id: "{uid("policy-Editors")}") {{ id }} }}'
    delete = await client.post("/graphql/system", json={"query": mutation}, headers=ADA)

    assert message_of(update) == message_of(detach) == f"{MESSAGE}: {reason}."
    assert delete.json()["errors"][0]["message"] == f"{MESSAGE}: {reason}."
    assert (await permissions.read_one(3))["fields"] == ["id", "email", "status", "title"]


async def test_a_grant_to_one_user_is_tested_too(client):
    values = {"user": uid("vi"), "policy": uid("policy-Editors")}
    response = await client.post("/access", json=values, headers=ADA)

    assert message_of(response) == f"{MESSAGE}: vi@example.com may read users.email, which is not expected."


async def test_other_changes_are_made(client):
    name = await client.patch(f"/policies/{uid('policy-Staff')}", json={"description": "x"}, headers=ADA)
    user = await client.patch(f"/users/{uid('ed')}", json={"status": "suspended"}, headers=ADA)

    assert (name.status_code, user.status_code) == (200, 200)


async def test_callers_other_than_admins_learn_only_that_a_test_fails(client, restored_db):
    tables = ("policies", "access", "permissions", "roles", "users")
    await restored_db.directory(SYSTEM)["policies"].update_one(
        uid("policy-Editors"),
        {
            "permissions": {
                "create": [
                    {"collection": f"directus_{table}", "action": action, "fields": ["*"]}
                    for table in tables
                    for action in ("read", "update")
                ]
            }
        },
    )
    response = await client.patch("/permissions/3", json={"fields": ["id"]}, headers=bearer(static_token("ed")))

    assert message_of(response) == f"{MESSAGE}."


def test_a_server_does_not_start_with_an_invalid_file(tmp_path, readonly_db):
    (tmp_path / "tests.yaml").write_text("tests: [{as: public}]")
    settings = readonly_db.settings.model_copy(update={"policy_tests": tmp_path / "tests.yaml"})

    with pytest.raises(OperatorError, match="line 1: a test needs 'may', 'may not' or 'sees'"):
        create_app(settings)


async def test_a_simulation_reports_the_tests_that_would_fail(client):
    change = {"collection": "permissions", "action": "update", "key": 3, "data": {"fields": ["id"]}}
    response = await client.post("/access/simulate", json={"changes": [change]}, headers=ADA)

    failures = response.json()["data"]["failed_tests"]
    assert failures[0] == 'role "Editor" may not read users.email, which is not expected'
    assert response.json()["data"]["effects_total"] == 1
