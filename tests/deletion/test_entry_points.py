"""Deletions with a dry run or with reassigned references, over GraphQL and REST."""

import pytest
import pytest_asyncio

from tests.base_data import static_token, uid
from tests.deletion.conftest import SAM, VI
from tests.deletion.database import content
from tests.http.clients import FORBIDDEN, error_of
from tests.http.test_graphql import ADA, PATH, bearer, served

DELETE = """mutation ($id: ID!, $to: ID, $dry: Boolean) {
  delete_users_item(id: $id, reassign_to: $to, dry_run: $dry) { id references { table column count action } }
}"""
DELETE_MANY = """mutation ($ids: [ID]!, $to: ID) {
  delete_users_items(ids: $ids, reassign_to: $to) { ids references { table action } }
}"""
CONTRACTS = {"table": "contracts", "column": "Owner", "count": 2, "action": "blocked"}


@pytest_asyncio.fixture
async def client(blocked):
    async with served(blocked.settings) as client:
        yield client


async def graphql(client, query, **variables):
    response = await client.post(PATH, json={"query": query, "variables": variables}, headers=ADA)
    return response.json()


async def test_both_apis_answer_a_dry_run_alike(client, blocked):
    before = await content(blocked)
    over_graphql = (await graphql(client, DELETE, id=VI, dry=True))["data"]["delete_users_item"]
    over_rest = (await client.delete(f"/users/{VI}?dry_run=true", headers=ADA)).json()["data"]
    body = {"keys": [VI]}
    several = (await client.request("DELETE", "/users?dry_run=true", json=body, headers=ADA)).json()["data"]
    query = {"query": {"filter": {"id": {"_eq": VI}}}}
    by_query = (await client.request("DELETE", "/users?dry_run=true", json=query, headers=ADA)).json()["data"]

    assert over_graphql == over_rest
    assert over_rest["id"] == VI
    assert CONTRACTS in over_rest["references"]
    assert several == by_query == {"ids": [VI], "references": over_rest["references"]}
    assert await content(blocked) == before


async def test_graphql_reassigns_and_returns_what_it_moved(client, blocked):
    deleted = (await graphql(client, DELETE_MANY, ids=[VI], to=SAM))["data"]["delete_users_items"]

    assert deleted["ids"] == [VI]
    assert {"table": "contracts", "action": "reassigned"} in deleted["references"]
    assert {str(row["Owner"]) for row in (await content(blocked))["contracts"]} == {SAM}


async def test_rest_reassigns_and_answers_as_any_deletion(client, blocked):
    response = await client.delete(f"/users/{VI}?reassign_to={SAM}", headers=ADA)

    assert (response.status_code, response.content) == (204, b"")
    assert {str(row["member"]) for row in (await content(blocked))["memberships"]} == {SAM}


async def test_an_ordinary_deletion_has_no_references(client):
    plain = await graphql(client, DELETE, id=uid("nora"))

    assert plain == {"data": {"delete_users_item": {"id": uid("nora"), "references": None}}}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"/users/{VI}?dry_run=yes", '"dry_run" must be true or false'),
        (f"/users/{VI}?reassign_to=", '"reassign_to" must be the id of a user'),
        (f"/users/{VI}?reassign_to[_eq]=1", '"reassign_to" must be the id of a user'),
        (f"/users/{VI}?reassign_to=x", '"reassign_to" must be the id of a user'),
        (f"/roles/{uid('role-App')}?dry_run=true", '"dry_run" is supported for users only'),
        (f"/roles/{uid('role-App')}?reassign_to={SAM}", '"reassign_to" is supported for users only'),
    ],
)
async def test_rest_says_what_is_wrong_with_an_option_and_deletes_nothing(client, blocked, path, reason):
    before = await content(blocked)
    (error,) = (await client.delete(path, headers=ADA)).json()["errors"]

    assert error["extensions"]["reason"] == reason
    assert await content(blocked) == before


async def test_others_than_admins_may_not_reassign(client):
    response = await client.delete(f"/users/{VI}?reassign_to={SAM}", headers=bearer(static_token("ed")))

    assert error_of(response) == FORBIDDEN
