"""Access is explained, and changes of it are simulated, over REST and by the command line as over GraphQL."""

import json

import pytest
import pytest_asyncio

from tests.base_data import OFFICE_IP, static_token, uid
from tests.cli.commands import run_command
from tests.http.clients import FORBIDDEN, error_of, reason_of
from tests.http.test_graphql import ADA, bearer, served

PATH = "/access/explain"
QUESTION = {"collection": "users", "action": "read", "user": uid("ed"), "item": uid("sue"), "field": "email"}


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


async def test_rest_explains_access_and_stores_nothing(client):
    response = await client.post(PATH, json=QUESTION, headers=ADA)

    answer = response.json()["data"]
    assert (response.status_code, answer["allowed"], answer["field"]) == (200, False, "email")
    assert any("its rule does not match this item" in reason for reason in answer["reasons"])
    assert response.headers["cache-control"] == "no-store"


async def test_rest_explains_to_others_only_their_own_access(client):
    ed = bearer(static_token("ed"))
    own = await client.post(PATH, json={**QUESTION, "user": uid("ed"), "item": uid("vi")}, headers=ed)

    assert own.json()["data"]["allowed"]
    assert error_of(await client.post(PATH, json={**QUESTION, "user": uid("vi")}, headers=ed)) == FORBIDDEN
    assert error_of(await client.post(PATH, json=QUESTION)) == FORBIDDEN


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"action": "read"}, '"collection" is required'),
        ({**QUESTION, "item": True}, '"item" must be a string or a number'),
        ({**QUESTION, "users": "x"}, '"users" is not allowed'),
    ],
)
async def test_rest_says_what_is_wrong_with_a_question(client, body, reason):
    response = await client.post(PATH, json=body, headers=ADA)

    assert reason_of(response) == reason


async def test_the_command_line_answers_in_sentences(readonly_db):
    url = readonly_db.settings.database_url
    denied = await run_command(url, "access", "explain", "ed@example.com", "read", "users", uid("sue"), "--field=email")
    allowed = await run_command(url, "access", "explain", "kit@example.com", "read", "users", f"--ip={OFFICE_IP}")
    unknown = await run_command(url, "access", "explain", "nobody@example.com", "read", "users")

    assert denied.code == 1
    assert denied.out.startswith("Not allowed.\n- Permission ")
    assert 'Add "email" to the fields of permission 1 of policy "Staff".' in denied.out
    assert (allowed.code, allowed.out.splitlines()[0]) == (0, "Allowed.")
    assert (unknown.code, unknown.err) == (1, "rollcall: There is no user with the email address nobody@example.com.\n")


SIMULATE = "/access/simulate"
WIDER_EDITORS = {"collection": "permissions", "action": "update", "key": 3, "data": {"permissions": {}}}
SIMULATION = """
mutation ($changes: [access_change_input!]!, $ip: String) {
  access_simulate(changes: $changes, ip: $ip) {
    changes ip effects_total roles_total users_total locked_out_total admins_before admins_after
    last_admin { change message }
    effects { roles { id name } roles_total users users_total public lockouts
      before { active admin_access app_access enforce_tfa any_access addresses expires } after { active addresses }
      actions { collection action allowed_before allowed_after fields_gained fields_lost values_changed
        rows { before after gained lost } field_rows { fields rows { before after gained lost } }
        rows_depend_on_user rows_counted } } } }
"""


async def test_graphql_and_rest_simulate_alike(client):
    body = {"query": SIMULATION, "variables": {"changes": [WIDER_EDITORS]}}
    graphql = (await client.post("/graphql/system", json=body, headers=ADA)).json()["data"]["access_simulate"]
    response = await client.post(SIMULATE, json={"changes": [WIDER_EDITORS]}, headers=ADA)
    rest = response.json()["data"]

    assert response.headers["cache-control"] == "no-store"
    assert (graphql["users_total"], rest["users_total"]) == (1, 1)
    assert graphql["effects"][0]["actions"] == rest["effects"][0]["actions"]
    assert graphql["effects"][0]["before"] == rest["effects"][0]["before"]
    assert graphql["effects"][0]["actions"][0]["field_rows"][0]["rows"]["gained"] == 2


async def test_others_than_admins_do_not_simulate(client):
    ed = bearer(static_token("ed"))
    body = {"query": SIMULATION, "variables": {"changes": [WIDER_EDITORS]}}

    assert error_of(await client.post(SIMULATE, json={"changes": [WIDER_EDITORS]}, headers=ed)) == FORBIDDEN
    assert error_of(await client.post(SIMULATE, json={"changes": [WIDER_EDITORS]})) == FORBIDDEN
    refused = (await client.post("/graphql/system", json=body, headers=ed)).json()["errors"][0]
    assert refused["extensions"]["code"] == "GRAPHQL_VALIDATION"  # as for a field that does not exist


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, '"changes" is required'),
        ({"changes": "x"}, '"changes" must be an array'),
        ({"changes": []}, '"changes" must contain at least one change'),
        ({"changes": [WIDER_EDITORS] * 1_001}, "A simulation takes at most 1000 changes, these are 1001"),
        ({"changes": [1]}, "A change must be an object"),
        ({"changes": [WIDER_EDITORS], "ip": "office"}, '"ip" must be an IP address'),
    ],
)
async def test_rest_says_what_is_wrong_with_changes(client, body, reason):
    assert reason in reason_of(await client.post(SIMULATE, json=body, headers=ADA))


async def test_far_too_many_changes_get_a_clear_error(client):
    response = await client.post(SIMULATE, json={"changes": [WIDER_EDITORS] * 50_000}, headers=ADA)

    assert response.status_code in (400, 413)
    assert response.json()["errors"][0]["extensions"]["code"] in ("INVALID_PAYLOAD", "CONTENT_TOO_LARGE")


async def test_rest_names_the_change_that_fails(client):
    changes = [WIDER_EDITORS, {**WIDER_EDITORS, "key": 4711}]
    error = (await client.post(SIMULATE, json={"changes": changes}, headers=ADA)).json()["errors"][0]

    assert (error["extensions"]["code"], error["extensions"]["change"]) == ("FORBIDDEN", 1)
    assert error["message"].startswith("Change 1 (update of permissions): You don't have permission")


async def test_the_command_line_prints_what_would_change(readonly_db, tmp_path):
    url, file = readonly_db.settings.database_url, tmp_path / "changes.json"
    file.write_text(json.dumps({"changes": [WIDER_EDITORS]}))
    changed = await run_command(url, "access", "diff", str(file))
    file.write_text(json.dumps([{"collection": "users", "action": "delete", "key": uid("ada")}]))
    refused = await run_command(url, "access", "diff", str(file))
    missing = await run_command(url, "access", "diff", str(tmp_path / "none.json"))
    file.write_text("[{]")
    malformed = await run_command(url, "access", "diff", str(file))
    file.write_text("- &a {collection: roles}\n- *a\n")
    exploding = await run_command(url, "access", "diff", str(file))
    file.write_text("- {collection: permissions, action: update, key: 3, data: {permissions: {}}}\n")
    from_yaml = await run_command(url, "access", "diff", str(file))

    assert (changed.code, changed.out.splitlines()) == (
        0,
        [
            "1 change would affect 1 role and 1 user.",
            "",
            f'Role "Editor"; 1 user ({uid("ed")}):',
            "  ~ read directus_users: 9 rows; email, status, title on 9 rows (+2, -0)",
        ],
    )
    assert refused.code == 1
    assert "Change 0 would be refused: Cannot remove the last admin user from the system." in refused.out
    assert (missing.code, "can't be read" in missing.err) == (1, True)
    assert (malformed.code, "is not YAML" in malformed.err) == (1, True)
    assert (exploding.code, "anchors and aliases are not allowed" in exploding.err) == (1, True)
    assert (from_yaml.code, from_yaml.out) == (0, changed.out)


WHO_CAN = "/access/who-can"
HOLDERS = """
query ($item: ID, $page: Int) {
  access_who_can(collection: "users", action: "read", field: "email", item: $item, limit: 2, page: $page) {
    total public users { id email role everywhere } roles { name every_user }
  }
}
"""


async def test_graphql_and_rest_find_the_same_users(client):
    body = {"query": HOLDERS, "variables": {"item": uid("sam"), "page": 2}}
    graphql = (await client.post("/graphql/system", json=body, headers=ADA)).json()["data"]["access_who_can"]
    question = {"collection": "users", "action": "read", "field": "email", "item": uid("sam"), "limit": 2, "page": 2}
    response = await client.post(WHO_CAN, json=question, headers=ADA)
    rest = response.json()["data"]

    assert response.headers["cache-control"] == "no-store"
    assert graphql["users"] == [{name: user[name] for name in graphql["users"][0]} for user in rest["users"]]
    assert [user["email"] for user in rest["users"]] == ["kit@example.com", "sam@example.com"]
    assert (graphql["total"], rest["total"]) == (4, 4)


async def test_only_admins_find_who_may_do_something(client):
    question = {"collection": "users", "action": "read"}

    assert error_of(await client.post(WHO_CAN, json=question, headers=bearer(static_token("ed")))) == FORBIDDEN
    assert error_of(await client.post(WHO_CAN, json=question)) == FORBIDDEN


async def test_the_name_of_a_role_does_not_control_the_terminal(restored_db):
    await restored_db.load({"directus_roles": [{"id": uid("role-Office"), "name": "Office\x1b[2K"}]})
    found = await run_command(restored_db.settings.database_url, "access", "who-can", "read", "users")

    assert '- role "Office?[2K"' in found.out


async def test_the_command_line_lists_who_may_do_something(readonly_db):
    url = readonly_db.settings.database_url
    found = await run_command(url, "access", "who-can", "read", "users", uid("sue"), "--field=email")
    unknown = await run_command(url, "access", "who-can", "read", "nothing")

    assert found.code == 0
    assert found.out.splitlines() == [
        '- role "Administrator"',
        '- role "Office", but not every user, or not at every address',
        "2 users, of whom 2 follow:",
        "- ada@example.com",
        "- kit@example.com (at some addresses only)",
    ]
    assert (unknown.code, unknown.err) == (1, 'rollcall: Invalid payload. There is no collection "nothing".\n')
