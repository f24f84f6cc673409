"""API tokens are created, listed and revoked over REST."""

import re

import pytest
from sqlalchemy import select

from app.core.api_tokens import hash_api_token
from app.db.models import API_TOKENS, Activity
from app.flows.api_tokens import MAX_TOKENS_PER_USER
from tests.api_tokens.tokens import create_token
from tests.base_data import static_token, uid
from tests.http.clients import FORBIDDEN, INVALID_CREDENTIALS, data_of, error_of, reason_of
from tests.http.test_graphql import ADA, bearer

PATH = "/users/me/tokens"
ED, VI = bearer(static_token("ed")), bearer(static_token("vi"))
EDITORS, STAFF = uid("policy-Editors"), uid("policy-Staff")


async def create(client, headers=ED, path=PATH, **body):
    return data_of(await client.post(path, json={"name": "CI", **body}, headers=headers))


async def test_a_token_is_shown_once_and_stored_as_its_hash(system, client):
    response = await client.post(PATH, json={"name": " CI ", "policies": [EDITORS]}, headers=ED)
    created = data_of(response)
    listed = data_of(await client.get(PATH, headers=ED))

    assert re.fullmatch(r"rollcall_[0-9A-Za-z]{43}", created["token"])
    assert response.headers["cache-control"] == "no-store"
    assert (created["name"], created["policies"], created["read_only"]) == ("CI", [EDITORS], False)
    assert {**created, "token": None} == {**listed[0], "token": None}
    assert "token" not in listed[0]
    async with system.database.transaction() as connection:
        row = (await connection.execute(select(API_TOKENS).where(API_TOKENS.c.id == created["id"]))).one()
    assert row.hash == hash_api_token(created["token"])
    assert created["token"] not in map(str, row)


@pytest.mark.parametrize("place", ["header", "query"])
async def test_a_token_authenticates_as_its_owner(client, place):
    token = (await create(client))["token"]
    response = await client.get(
        "/users/me",
        headers=bearer(token) if place == "header" else {},
        params={"fields": "id", **({"access_token": token} if place == "query" else {})},
    )

    assert data_of(response) == {"id": uid("ed")}


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, '"name" is required'),
        ({"name": " "}, '"name" must be a text of 1 to 255 characters'),
        ({"name": "x" * 256}, '"name" must be a text of 1 to 255 characters'),
        ({"name": "x\0"}, '"name" must be a text of 1 to 255 characters'),
        ({"name": "x", "expires": "soon"}, '"expires" must be a date such as 2030-01-15T10:30:45Z'),
        ({"name": "x", "expires": "2020-01-01"}, '"expires" must be in the future'),
        ({"name": "x", "read_only": "yes"}, '"read_only" must be a boolean'),
        ({"name": "x", "policies": []}, '"policies" must contain at least 1 items'),
        ({"name": "x", "policies": [7]}, '"policies" [0] must be a string'),
        (
            {"name": "x", "policies": [uid("none")]},
            f'"policies" must be policies of the user, unlike {uid("none")}',
        ),
        ({"name": "x", "policies": [uid("policy-Office")]}, '"policies" must be policies of the user'),
        ({"name": "x", "ip_access": ["office"]}, '"ip_access" must hold addresses such as 192.0.2.1, 192.0.2.0/24'),
        ({"name": "x", "ip_access": ["10.0.0.1,10.0.0.2"]}, '"ip_access" must hold addresses'),
        ({"name": "x", "ip_access": "10.0.0.1"}, '"ip_access" must be an array'),
        ({"name": "x", "scope": "all"}, '"scope" is not allowed'),
    ],
)
async def test_an_invalid_value_is_named(client, body, reason):
    response = await client.post(PATH, json=body, headers=ED)

    assert reason_of(response).startswith(reason)


async def test_only_admins_manage_the_tokens_of_others(client):
    path = f"/users/{uid('ed')}/tokens"
    created = await create(client, ADA, path)
    others = [
        await client.get(path, headers=VI),
        await client.post(path, json={"name": "x"}, headers=VI),
        await client.delete(f"{path}/{created['id']}", headers=VI),
        await client.delete(f"{PATH}/{created['id']}", headers=VI),
        await client.delete(f"{PATH}/unknown", headers=VI),
        await client.post(f"/users/{uid('nobody')}/tokens", json={"name": "x"}, headers=ADA),
    ]
    listed = data_of(await client.get(path, headers=ADA))
    revoked = await client.delete(f"{path}/{created['id']}", headers=ADA)

    assert [error_of(response) for response in others] == [FORBIDDEN] * len(others)
    assert created["id"] in [token["id"] for token in listed]
    assert revoked.status_code == 204
    assert error_of(await client.get("/users/me", headers=bearer(created["token"]))) == INVALID_CREDENTIALS
    assert error_of(await client.get(PATH)) == INVALID_CREDENTIALS


async def test_creation_and_revocation_are_in_the_activity_without_the_token(system, client):
    created = await create(client)
    await client.delete(f"{PATH}/{created['id']}", headers=ED)

    async with system.database.transaction() as connection:
        rows = (await connection.execute(select(Activity.__table__).where(Activity.item == created["id"]))).all()
    assert [(row.action, row.collection, row.user) for row in rows] == [
        (action, "rollcall_tokens", uid("ed")) for action in ("create", "delete")
    ]
    assert created["token"] not in str(rows)
    assert hash_api_token(created["token"]) not in str(rows)


async def test_a_user_has_a_limited_number_of_tokens(system, client):
    for _ in range(MAX_TOKENS_PER_USER):
        await create_token(system, "sam")
    response = await client.post(PATH, json={"name": "x"}, headers=bearer(static_token("sam")))

    assert reason_of(response) == f"A user can have {MAX_TOKENS_PER_USER} API tokens at most: revoke one first"


async def test_a_token_works_only_from_its_addresses_and_does_not_say_so(client):
    created = await create(client, ip_access=["198.51.100.0/24"])
    unknown = await client.get("/users/me", headers=bearer("rollcall_" + "x" * 43))
    elsewhere = await client.get("/users/me", headers=bearer(created["token"]))

    assert error_of(elsewhere) == INVALID_CREDENTIALS
    assert elsewhere.json() == unknown.json()
