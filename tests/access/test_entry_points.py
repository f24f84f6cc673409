"""Access is explained over REST and by the command line as over GraphQL."""

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
