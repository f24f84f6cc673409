"""The same over GraphQL."""

from tests.base_data import static_token, uid
from tests.http.clients import PASSWORD
from tests.http.test_graphql import PATH, bearer
from tests.passkeys.authenticator import Authenticator

OPTIONS = "mutation($use: passkey_use) { auth_passkey_options(use: $use) { challenge_token public_key } }"
REGISTRATION = (
    "mutation($password: String) { users_me_passkeys_options(password: $password) { challenge_token public_key } }"
)
CREATE = """mutation($name: String!, $token: String!, $credential: JSON!) {
  users_me_passkeys_create(name: $name, challenge_token: $token, credential: $credential) { id name }
}"""
LOGIN = """mutation($token: String!, $credential: JSON!, $email: String, $password: String) {
  auth_passkey_login(challenge_token: $token, credential: $credential, email: $email, password: $password) {
    access_token
  }
}"""
RENAME = 'mutation($id: ID!) { users_me_passkeys_rename(id: $id, name: "Other") { name } }'
REVOKE = "mutation($id: ID!, $password: String) { users_me_passkeys_revoke(id: $id, password: $password) }"
LIST = "{ users_me_passkeys { id name transports synced backed_up created last_used counter_rejected } }"


async def execute(users, query, headers=None, **variables):
    response = await users.send("POST", PATH, {"query": query, "variables": variables}, headers)
    return response.json()


async def register(users, headers):
    """Return an authenticator whose passkey a user has registered, and the passkey."""
    options = (await execute(users, REGISTRATION, headers, password=PASSWORD))["data"]["users_me_passkeys_options"]
    authenticator = Authenticator()
    values = {"token": options["challenge_token"], "credential": authenticator.create(options["public_key"])}
    created = await execute(users, CREATE, headers, name="Laptop", **values)
    return authenticator, created["data"]["users_me_passkeys_create"]


async def prove(users, authenticator, use):
    options = (await execute(users, OPTIONS, use=use))["data"]["auth_passkey_options"]
    return {"token": options["challenge_token"], "credential": authenticator.get(options["public_key"])}


async def test_a_passkey_is_registered_signs_in_and_is_revoked(users):
    headers = await users.headers()
    authenticator, created = await register(users, headers)
    alone = await execute(users, LOGIN, **await prove(users, authenticator, "sign_in"))
    both = {"email": "vi@example.com", "password": PASSWORD}
    second = await execute(users, LOGIN, **await prove(users, authenticator, "second_factor"), **both)
    renamed = await execute(users, RENAME, headers, id=created["id"])
    (listed,) = (await execute(users, LIST, headers))["data"]["users_me_passkeys"]
    revoked = await execute(users, REVOKE, headers, id=created["id"], password=PASSWORD)
    refused = await execute(users, LOGIN, **await prove(users, authenticator, "sign_in"))

    assert alone["data"]["auth_passkey_login"]["access_token"]
    assert second["data"]["auth_passkey_login"]["access_token"]
    assert renamed["data"]["users_me_passkeys_rename"]["name"] == listed["name"] == "Other"
    assert revoked["data"] == {"users_me_passkeys_revoke": True}
    assert refused["errors"][0]["extensions"]["code"] == "INVALID_CREDENTIALS"


async def test_admins_list_and_revoke_those_of_others(users):
    _, created = await register(users, await users.headers())
    ada, vi = bearer(static_token("ada")), uid("vi")
    listed = await execute(users, f'{{ users_passkeys(user: "{vi}") {{ id }} }}', ada)
    revoke = f'mutation {{ users_passkeys_revoke(user: "{vi}", id: "{created["id"]}") }}'
    refused = await execute(users, revoke)

    assert listed["data"]["users_passkeys"] == [{"id": created["id"]}]
    assert "errors" in refused
    assert (await execute(users, revoke, ada))["data"] == {"users_passkeys_revoke": True}


async def test_anonymous_callers_get_null(users):
    assert (await execute(users, LIST))["data"] == {"users_me_passkeys": None}
    assert (await execute(users, REGISTRATION))["data"] == {"users_me_passkeys_options": None}
