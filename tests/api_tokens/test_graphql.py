"""API tokens are created, listed and revoked over GraphQL."""

from app.core.errors import APITokenRefused, Forbidden, InvalidPayload
from tests.api_tokens.tokens import caller_with, token_caller
from tests.base_data import caller, uid

FIELDS = "id name created expires read_only policies ip_access last_used last_used_ip"
LIST = f"{{ users_me_tokens {{ {FIELDS} }} }}"
CREATE = (
    "mutation($data: create_tokens_input!, $user: ID)"
    f" {{ create_tokens_item(data: $data, user: $user) {{ {FIELDS} token }} }}"
)
REVOKE = "mutation($id: ID!, $user: ID) { delete_tokens_item(id: $id, user: $user) { id } }"
ADA, ED, VI = caller("ada"), caller("ed"), caller("vi")


def error_of(result):
    return result.errors[0].original_error


async def create(system, as_, user=None, **data):
    result = await system.execute(CREATE, {"data": {"name": "CI", **data}, "user": user}, as_)
    assert result.errors is None, result.errors
    return result.data["create_tokens_item"]


async def test_a_user_manages_the_own_tokens(system):
    data = {"expires": "2099-01-01T00:00:00Z", "policies": [uid("policy-Staff")], "ip_access": ["192.0.2.0/24"]}
    created = await create(system, ED, read_only=True, **data)
    secret = created.pop("token")
    listed = (await system.execute(LIST, caller=ED)).data["users_me_tokens"]
    used = await system.execute("{ users_me { id } }", caller=caller_with(secret))
    revoked = await system.execute(REVOKE, {"id": created["id"]}, ED)

    assert created in listed
    assert (created["expires"], created["read_only"]) == ("2099-01-01T00:00:00.000Z", True)
    assert used.data == {"users_me": {"id": uid("ed")}}
    assert revoked.data == {"delete_tokens_item": {"id": created["id"]}}
    assert created not in (await system.execute(LIST, caller=ED)).data["users_me_tokens"]


async def test_an_admin_manages_the_tokens_of_others(system):
    created = await create(system, ADA, uid("vi"))
    query = "query($user: ID!) { users_tokens(user: $user) { id } }"
    listed = await system.execute(query, {"user": uid("vi")}, ADA)
    denied = [
        await system.execute(CREATE, {"data": {"name": "x"}, "user": uid("ed")}, VI),
        await system.execute(REVOKE, {"id": created["id"]}, ED),
    ]
    hidden = await system.execute(query, {"user": uid("ed")}, VI)
    revoked = await system.execute(REVOKE, {"id": created["id"], "user": uid("vi")}, ADA)

    assert {"id": created["id"]} in listed.data["users_tokens"]
    assert [type(error_of(result)) for result in denied] == [Forbidden, Forbidden]
    assert "Cannot query field" in hidden.errors[0].message
    assert revoked.errors is None


async def test_an_anonymous_caller_has_no_tokens_and_creates_none(system):
    result = await system.execute(CREATE, {"data": {"name": "x"}})

    assert (await system.execute(LIST)).data == {"users_me_tokens": None}
    assert result.errors[0].message == "Unknown type 'create_tokens_input'."


async def test_an_invalid_value_is_named(system):
    result = await system.execute(CREATE, {"data": {"name": "x", "policies": []}}, ED)

    assert isinstance(error_of(result), InvalidPayload)
    assert "leave it out for all policies" in error_of(result).reason


async def test_a_token_manages_no_tokens(system):
    token = await token_caller(system, "ada")
    results = [
        await system.execute(LIST, caller=token),
        await system.execute(CREATE, {"data": {"name": "x"}}, token),
        await system.execute(REVOKE, {"id": uid("x")}, token),
    ]

    assert [type(error_of(result)) for result in results] == [APITokenRefused] * 3
