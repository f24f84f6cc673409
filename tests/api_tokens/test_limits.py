"""What an API token can't do, whatever its owner may: write if it is read-only, gain rights, or outlive itself."""

import pytest

from app.core.errors import FailedValidation, Forbidden, ReadOnlyToken
from app.flows.password_change import PasswordChange
from tests.api_tokens.tokens import create_token, token_caller
from tests.base_data import caller, make_read_permission, uid
from tests.http.clients import FORBIDDEN, data_of, error_of
from tests.http.test_graphql import bearer

READ_ONLY = "This API token is read-only."
NEEDS_SESSION = "This is not possible with an API token: sign in instead."


def message_of(response):
    assert error_of(response) == FORBIDDEN, response.text
    return response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/users/me", {"title": "x"}),
        ("PATCH", "/users/me/track/page", {"last_page": "/"}),
        ("POST", "/users", {"email": "x@example.com"}),
        ("DELETE", f"/users/{uid('vi')}", None),
        ("POST", "/users/invite", {"email": "x@example.com", "role": uid("role-Staff")}),
        ("POST", "/auth/login", {"email": "x@example.com", "password": "x"}),
        ("POST", "/utils/cache/clear", {}),
        ("POST", "/fields/directus_users", {"field": "x", "type": "string"}),
    ],
)
async def test_a_read_only_token_of_an_admin_writes_nothing(system, client, method, path, body):
    token = (await create_token(system, "ada", read_only=True)).secret
    response = await client.request(method, path, json=body, headers=bearer(token))

    assert message_of(response) == READ_ONLY


async def test_a_read_only_token_of_an_admin_reads_what_the_admin_reads(system):
    token = await token_caller(system, "ada", read_only=True)
    query = "{ users(limit: -1) { email token status } settings { id } }"
    result = await system.execute(query, caller=token)
    mutation = await system.execute('mutation { update_users_me(data: {title: "x"}) { id } }', caller=token)

    assert len(result.data["users"]) > 5
    assert isinstance(mutation.errors[0].original_error, ReadOnlyToken)
    with pytest.raises(ReadOnlyToken):
        await system.directory(token)["users"].update_one(uid("vi"), {"title": "x"})


async def test_a_token_has_admin_access_only_if_its_scope_includes_an_admin_policy(system):
    scoped = await token_caller(system, "ada", policies=["Administrators"])
    await system.load({"directus_access": [{"id": uid("x"), "policy": uid("policy-Staff"), "user": uid("ada")}]})
    staff = await token_caller(system, "ada", policies=["Staff"])

    assert (await system.directory(scoped).access()).admin
    assert not (await system.directory(staff).access()).admin


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/me/tokens"),
        ("POST", "/users/me/tokens"),
        ("DELETE", f"/users/me/tokens/{uid('x')}"),
        ("GET", f"/users/{uid('ada')}/tokens"),
        ("POST", f"/users/{uid('ed')}/tokens"),
        ("GET", "/users/me/sessions"),
        ("DELETE", f"/users/{uid('ada')}/sessions"),
        ("POST", "/users/me/tfa/generate"),
        ("POST", "/users/me/tfa/enable"),
        ("POST", "/users/me/tfa/recovery-codes"),
    ],
)
async def test_a_token_of_an_admin_manages_neither_tokens_nor_its_own_account(system, client, method, path):
    token = (await create_token(system, "ada")).secret
    body = {"name": "x"} if "tokens" in path else {"password": "x", "otp": "1", "secret": "x"}
    response = await client.request(method, path, json=body if method == "POST" else None, headers=bearer(token))

    assert message_of(response) == NEEDS_SESSION


async def test_a_token_does_not_change_the_password_of_its_owner(system):
    with pytest.raises(Forbidden):
        await PasswordChange(system.directory(await token_caller(system, "ada"))).change("old", "a new password")


@pytest.mark.parametrize("owner", ["ada", "ed"])
@pytest.mark.parametrize("field", ["password", "email", "token"])
async def test_a_token_changes_no_credentials_of_its_owner(system, owner, field):
    users = system.directory(await token_caller(system, owner))["users"]
    value = "other@example.com" if field == "email" else "a new value"

    with pytest.raises(Forbidden, match="credentials of its owner"):
        await users.update_one(uid(owner), {field: value})


async def test_a_token_sets_no_static_token_of_anyone(system):
    users = system.directory(await token_caller(system, "ada"))["users"]

    with pytest.raises(Forbidden, match="static token"):
        await users.update_one(uid("vi"), {"token": "a new value"})
    with pytest.raises(Forbidden, match="static token"):
        await users.create_one({"email": "new@example.com", "token": "another value"})


@pytest.mark.both_databases
async def test_a_scoped_token_grants_only_what_is_in_its_scope(system):
    """Ed himself may attach the policy of editors, which he holds; the token may not."""
    everything = system.directory(await token_caller(system, "ed"))["access"]
    scoped = system.directory(await token_caller(system, "ed", policies=["Sharers"]))["access"]
    grant = {"policy": uid("policy-Editors"), "user": uid("vi")}

    with pytest.raises(Forbidden, match="grant more than you have"):
        await scoped.create_one(grant)
    await everything.create_one(grant)


async def test_a_condition_outside_the_scope_still_binds_the_token(system):
    """A policy of Ed's that the token does not include forbids a title to new users."""
    scoped = system.directory(await token_caller(system, "ed", policies=["Writers"]))["users"]

    with pytest.raises(FailedValidation):
        await scoped.create_one({"email": "chief@example.com", "title": "Chief"})
    await scoped.create_one({"email": "clerk@example.com", "title": "Clerk"})


async def test_a_token_says_what_it_may_do(system, client):
    token = (await create_token(system, "ed", policies=["Writers"], read_only=True)).secret
    permissions = data_of(await client.get("/permissions/me", headers=bearer(token)))
    admin = (await create_token(system, "ada", read_only=True)).secret
    everything = data_of(await client.get("/permissions/me", headers=bearer(admin)))

    assert permissions == {}
    assert everything["directus_users"]["read"]["access"] == "full"
    assert everything["directus_users"]["update"]["access"] == "none"


async def test_a_rule_sees_the_same_policies_of_the_user_with_a_scoped_token(system):
    """With fewer values in `$CURRENT_POLICIES`, a rule that excludes them would match more rows than for Ed himself."""
    others = {"id": {"_nin": "$CURRENT_POLICIES"}}
    await system.load({"directus_permissions": [make_read_permission(60, "Writers", "policies", "*", others)]})
    query = "{ policies(limit: -1) { name } }"
    own = await system.execute(query, caller=caller("ed"))
    scoped = await system.execute(query, caller=await token_caller(system, "ed", policies=["Writers"]))

    assert own.errors is scoped.errors is None
    assert {row["name"] for row in scoped.data["policies"]} == {row["name"] for row in own.data["policies"]}


async def test_a_scoped_token_does_not_learn_of_the_policies_outside_its_scope(system, client):
    question = {"collection": "users", "action": "read"}
    scoped = (await create_token(system, "ed", policies=["Writers"])).secret
    refused = await client.post("/access/explain", json=question, headers=bearer(scoped))
    admin = (await create_token(system, "ada", policies=["Administrators"])).secret
    about_ed = await client.post("/access/explain", json={**question, "user": uid("ed")}, headers=bearer(admin))

    assert message_of(refused) == NEEDS_SESSION
    assert "Editors" in {policy["name"] for policy in data_of(about_ed)["policies"]}
