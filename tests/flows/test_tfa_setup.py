"""If a policy enforces two-factor authentication (TFA), a token without it only allows setting it up."""

from datetime import timedelta

import pytest
import pytest_asyncio
from jose import jwt

from app.core.caller import PUBLIC, ClientInfo
from app.core.errors import Forbidden, InvalidCredentials, TwoFactorSetupRequired
from app.flows.session import SessionService
from app.flows.session_list import SessionListService
from app.flows.tokens import TokenMode
from app.flows.two_factor import TwoFactorService
from app.repositories.directory import Directory
from tests.base_data import OFFICE_IP, caller, static_token, uid
from tests.flows.clock import HASHED, PASSWORD, SECRET, AccountHarness, FrozenClock
from tests.http.test_graphql import PATH, bearer, served

REASON = (
    "Two-factor authentication has to be set up before anything else: begin with users_me_tfa_generate, or "
    "POST /users/me/tfa/generate"
)
TFA_REQUIRED = {"errors": [{"message": f"{REASON}.", "extensions": {"reason": REASON, "code": "FORBIDDEN"}}]}
REJECTED = (403, TFA_REQUIRED)
ME_QUERY = {"query": "{ users_me { id } }"}
USERS_QUERY = {"query": "{ users { id } }"}


@pytest_asyncio.fixture
async def accounts(inviters):
    """Ed, Kit and Ada have passwords and no TFA; the policies of Ed and Ada enforce it."""
    harness = AccountHarness(inviters, FrozenClock())
    for name in ("ed", "kit", "ada"):
        await harness.update_user(name, password=HASHED, tfa_secret=None)
    await enforce_tfa(harness, "Editors")
    await enforce_tfa(harness, "Administrators")
    return harness


@pytest_asyncio.fixture
async def client(accounts):
    async with served(accounts.system.settings, accounts.clock) as client:
        yield client


async def enforce_tfa(accounts, policy):
    await accounts.system.load({"directus_policies": [{"id": uid(f"policy-{policy}"), "enforce_tfa": True}]})


def claims(tokens):
    return jwt.get_unverified_claims(tokens.access)


async def token_of(accounts, name="ed"):
    return (await accounts.login(name)).access


async def status_and_body(response):
    return response.status_code, response.json()


async def test_a_token_requires_tfa_setup_if_an_effective_policy_enforces_it(accounts):
    assert claims(await accounts.login("ed"))["enforce_tfa"] is True
    assert "enforce_tfa" not in claims(await accounts.login("kit"))

    await accounts.update_user("ed", tfa_secret=SECRET)
    assert "enforce_tfa" not in claims(await accounts.login("ed", otp=accounts.clock.code()))


@pytest.mark.parametrize("holder", ["role", "parent role", "grandparent role", "user", "everyone"])
async def test_a_policy_enforces_tfa_wherever_in_the_role_tree_it_is_attached(inviters, holder):
    """Directus checks only the user's own role."""
    accounts = AccountHarness(inviters, FrozenClock())
    await accounts.update_user("ed", password=HASHED, tfa_secret=None)
    if holder == "everyone":
        await accounts.update_user("ed", role_id=None)
    attachment = {
        "role": {"role": uid("role-Editor")},
        "parent role": {"role": uid("role-Staff")},
        "grandparent role": {"role": uid("role-House")},
        "user": {"user": uid("ed")},
        "everyone": {},
    }[holder]
    await inviters.load(
        {
            "directus_roles": [{"id": uid("role-House"), "name": "House"}],
            "directus_policies": [{"id": uid("policy-Second"), "name": "Second", "enforce_tfa": True}],
        }
    )
    await inviters.load(
        {
            "directus_roles": [{"id": uid("role-Staff"), "name": "Staff", "parent": uid("role-House")}],
            "directus_access": [{"id": uid("access-second"), "policy": uid("policy-Second"), **attachment}],
        }
    )

    assert claims(await accounts.login("ed"))["enforce_tfa"] is True


async def test_a_policy_limited_to_a_network_enforces_tfa_only_there(accounts):
    await enforce_tfa(accounts, "Office")

    assert claims(await accounts.login("kit", ip=OFFICE_IP))["enforce_tfa"] is True
    assert "enforce_tfa" not in claims(await accounts.login("kit", ip="192.0.2.1"))


FORBIDDEN_QUERIES = [
    "{ users_me { id } }",
    "{ users { id } }",
    "{ mine: users_me { id } server_ping }",
    "query { ...Some } fragment Some on Query { ... { users { id } } }",
    "query A { server_ping } query B { users { id } }",
    "{ nothing_of_that_name }",
    "{ users_me { nothing_of_that_name } }",
    "{ users_me_sessions { id } }",
    "{ __schema { queryType { name } } users_me { id } }",
    'mutation { update_users_me(data: {first_name: "X"}) { id } }',
    'mutation { update_users_me(data: {first_name: "X"}) }',
    'mutation { users_me_tfa_disable(otp: "000000") }',
    'mutation { users_me_tfa_recovery_codes(otp: "000000") }',
    "mutation { users_me_sessions_revoke }",
    'mutation { users_me_tfa_generate(password: "x") { secret } delete_users_item(id: "x") { id } }',
]
ALLOWED_QUERIES = [
    "{ __typename }",
    "{ server_ping }",
    "{ server_info { project { project_name } } }",
    "{ __schema { queryType { fields { name } } } }",
    "mutation { utils_random_string }",
]


@pytest.mark.parametrize("name", ["ed", "ada"])
async def test_any_other_graphql_request_is_rejected_as_a_whole(accounts, client, name):
    headers = bearer(await token_of(accounts, name))
    for query in FORBIDDEN_QUERIES:
        body = {"query": query, "operationName": "A" if "query A" in query else None}
        assert await status_and_body(await client.post(PATH, json=body, headers=headers)) == REJECTED, query
        if not query.startswith("mutation"):
            parameters = {name: value for name, value in body.items() if value}
            assert await status_and_body(await client.get(PATH, params=parameters, headers=headers)) == REJECTED, query


async def test_graphql_fields_for_anonymous_callers_are_available(accounts, client):
    headers = bearer(await token_of(accounts))
    for query in ALLOWED_QUERIES:
        status, body = await status_and_body(await client.post(PATH, json={"query": query}, headers=headers))
        assert (status, "errors" in body) == (200, False), query


async def test_introspection_shows_only_the_available_fields(accounts, client):
    headers = bearer(await token_of(accounts, "ada"))
    introspection = {"query": "{ __schema { queryType { fields { name } } types { name } } }"}
    schema = str((await client.post(PATH, json=introspection, headers=headers)).json())

    assert "server_ping" in schema
    assert "directus_users" not in schema
    assert "users_by_id" not in schema


async def test_an_invalid_setup_request_gets_its_own_error(accounts, client):
    headers = bearer(await token_of(accounts))
    incomplete = {"query": 'mutation { users_me_tfa_enable(secret: "x") }'}
    status, body = await status_and_body(await client.post(PATH, json=incomplete, headers=headers))

    assert (status, body["errors"][0]["extensions"]["code"]) == (400, "GRAPHQL_VALIDATION")


FORBIDDEN_PATHS = [
    ("GET", "/users"),
    ("SEARCH", "/users"),
    ("POST", "/users"),
    ("PATCH", "/users"),
    ("DELETE", "/users"),
    ("GET", f"/users/{uid('ed')}"),
    ("GET", "/users/me"),
    ("PATCH", "/users/me"),
    ("PATCH", "/users/me/track/page"),
    ("GET", "/roles/me"),
    ("GET", "/policies/me/globals"),
    ("GET", "/permissions/me"),
    ("GET", "/permissions/me/directus_users"),
    ("GET", "/settings"),
    ("GET", "/activity"),
    ("HEAD", "/files"),
    ("GET", f"/assets/{uid('picture')}"),
    ("POST", "/users/me/tfa/disable"),
    ("POST", "/users/me/tfa/recovery-codes"),
    ("POST", f"/users/{uid('vi')}/tfa/disable"),
    ("GET", "/users/me/sessions"),
    ("DELETE", "/users/me/sessions"),
    ("GET", f"/users/{uid('vi')}/sessions"),
    ("POST", "/users/invite"),
    ("POST", "/utils/cache/clear"),
]


@pytest.mark.parametrize("name", ["ed", "ada"])
async def test_every_collection_path_is_rejected(accounts, client, name):
    headers = bearer(await token_of(accounts, name))
    for method, path in FORBIDDEN_PATHS:
        response = await client.request(method, path, headers=headers)
        assert response.status_code == 403, path
        assert method == "HEAD" or response.json() == TFA_REQUIRED, path


async def test_an_upload_is_rejected(accounts, client):
    form = {"file": ("a.png", b"x", "image/png")}

    assert (
        await status_and_body(await client.post("/files", files=form, headers=bearer(await token_of(accounts, "ada"))))
        == REJECTED
    )


async def test_server_paths_are_available(accounts, client):
    assert (await client.get("/server/ping", headers=bearer(await token_of(accounts)))).text == "pong"


async def test_a_session_cookie_is_rejected_until_tfa_is_set_up(accounts, client):
    cookie = (await accounts.login("ed", mode=TokenMode.SESSION)).cookies[0].value
    headers = {"cookie": f"{accounts.system.settings.session_cookie_name}={cookie}"}

    assert await status_and_body(await client.post(PATH, json=ME_QUERY, headers=headers)) == REJECTED
    assert await status_and_body(await client.get("/users/me", headers=headers)) == REJECTED
    await accounts.update_user("ed", tfa_secret=SECRET)
    assert (await client.post(PATH, json=ME_QUERY, headers=headers)).json() == {"data": {"users_me": {"id": uid("ed")}}}
    assert (await client.get("/users/me?fields=id", headers=headers)).json() == {"data": {"id": uid("ed")}}


async def test_an_ended_session_cannot_set_up_tfa(accounts):
    cookie = (await accounts.login("ed", mode=TokenMode.SESSION)).cookies[0].value
    session = jwt.get_unverified_claims(cookie)["session"]
    restricted = accounts.directory_as("ed", session=session, tfa_setup_required=True)
    assert await TwoFactorService(restricted).generate(PASSWORD)

    await SessionListService(accounts.directory_as("ed")).revoke()
    with pytest.raises(InvalidCredentials):
        await TwoFactorService(restricted).generate(PASSWORD)


async def test_static_tokens_are_exempt(accounts, client):
    for name in ("ed", "ada"):
        response = await client.post(PATH, json=ME_QUERY, headers=bearer(static_token(name)))
        assert response.json() == {"data": {"users_me": {"id": uid(name)}}}
        assert (await client.get("/users/me", headers=bearer(static_token(name)))).status_code == 200


@pytest.mark.parametrize("name", ["ed", "ada"])
async def test_the_same_token_has_full_access_once_tfa_is_set_up(accounts, client, name):
    """Requests are repeated, so that plans are cached: before the setup, after it and after TFA is disabled again."""
    headers = bearer(await token_of(accounts, name))

    async def request_all():
        statuses = []
        for _ in range(3):
            for query in (ME_QUERY, USERS_QUERY):
                statuses.append((await client.post(PATH, json=query, headers=headers)).status_code)
                statuses.append((await client.get(PATH, params=query, headers=headers)).status_code)
            paths = ("/users", "/users/me", "/roles/me", f"/users/{uid('vi')}")
            statuses += [(await client.get(path, headers=headers)).status_code for path in paths]
            update = {"query": "mutation { update_users_me(data: {language: null}) { id } }"}
            statuses.append((await client.post(PATH, json=update, headers=headers)).status_code)
        return set(statuses)

    assert await request_all() == {403}
    await accounts.update_user(name, tfa_secret=SECRET)
    assert 200 in await request_all()
    assert await status_and_body(await client.post(PATH, json=ME_QUERY, headers=headers)) == (
        200,
        {"data": {"users_me": {"id": uid(name)}}},
    )
    await accounts.system.directory(caller("ada"))["users"].update_one(uid("ed"), {"tfa_secret": None})
    await accounts.update_user("ada", tfa_secret=None)
    assert await request_all() == {403}


async def test_a_caller_who_must_set_up_tfa_gets_no_response_from_cached_plans(accounts):
    """The same user's queries have cached plans from before the policy enforced TFA, and again once it is set up."""
    unrestricted = bearer((await accounts.login("kit", ip=OFFICE_IP)).access)
    office = {"x-forwarded-for": OFFICE_IP}
    async with served(accounts.system.settings.model_copy(update={"ip_trust_proxy": True})) as client:
        for _ in range(3):
            response = await client.post(PATH, json=USERS_QUERY, headers=unrestricted | office)
            assert len(response.json()["data"]["users"]) == 18
            assert len((await client.get("/users?fields=id", headers=unrestricted | office)).json()["data"]) == 18
        await enforce_tfa(accounts, "Office")
        restricted = bearer((await accounts.login("kit", ip=OFFICE_IP)).access)
        for _ in range(3):
            assert (
                await status_and_body(await client.post(PATH, json=USERS_QUERY, headers=restricted | office))
                == REJECTED
            )
            assert await status_and_body(await client.get("/users?fields=id", headers=restricted | office)) == REJECTED
        await accounts.update_user("kit", tfa_secret=SECRET)
        for _ in range(3):
            assert (
                len((await client.post(PATH, json=USERS_QUERY, headers=restricted | office)).json()["data"]["users"])
                == 18
            )
            assert len((await client.get("/users?fields=id", headers=restricted | office)).json()["data"]) == 18


async def test_the_restricted_token_can_set_up_tfa(accounts, client):
    """With REST and with GraphQL."""
    headers = bearer(await token_of(accounts))
    by_rest = await client.post("/users/me/tfa/generate", json={"password": PASSWORD}, headers=headers)
    assert set(by_rest.json()["data"]) == {"secret", "otpauth_url"}
    wrong_code = await client.post("/users/me/tfa/enable", json={"otp": "000000", "secret": SECRET}, headers=headers)
    assert wrong_code.json()["errors"][0]["extensions"] == {"reason": '"otp" is invalid', "code": "INVALID_PAYLOAD"}
    generate = "mutation($p: String!) { users_me_tfa_generate(password: $p) { secret otpauth_url } }"
    generated = await client.post(PATH, json={"query": generate, "variables": {"p": PASSWORD}}, headers=headers)
    secret = generated.json()["data"]["users_me_tfa_generate"]["secret"]

    enable = "mutation($o: String!, $s: String!) { users_me_tfa_enable(otp: $o, secret: $s) }"
    variables = {"o": accounts.clock.code(secret), "s": secret}
    enabled = await client.post(PATH, json={"query": enable, "variables": variables}, headers=headers)
    assert enabled.json() == {"data": {"users_me_tfa_enable": True}}
    assert (await client.post(PATH, json=ME_QUERY, headers=headers)).json() == {"data": {"users_me": {"id": uid("ed")}}}


async def test_a_refresh_updates_whether_tfa_setup_is_required(accounts):
    tokens = await accounts.login("ed")
    sessions = SessionService(Directory(PUBLIC, accounts.services))

    tokens = await sessions.refresh(tokens.refresh, TokenMode.JSON)
    assert claims(tokens)["enforce_tfa"] is True
    await accounts.update_user("ed", tfa_secret=SECRET)
    tokens = await sessions.refresh(tokens.refresh, TokenMode.JSON)
    assert "enforce_tfa" not in claims(tokens)
    await accounts.update_user("ed", tfa_secret=None)
    assert claims(await sessions.refresh(tokens.refresh, TokenMode.JSON))["enforce_tfa"] is True


async def test_a_session_cookie_refresh_updates_whether_tfa_setup_is_required(accounts):
    cookie = (await accounts.login("ed", mode=TokenMode.SESSION)).cookies[0].value
    client_info = ClientInfo(cookies={accounts.system.settings.session_cookie_name: cookie})
    await accounts.update_user("ed", tfa_secret=SECRET)
    refreshed = await SessionService(Directory(PUBLIC, accounts.services, lambda: client_info)).refresh(
        None, TokenMode.SESSION
    )

    assert jwt.get_unverified_claims(cookie)["enforce_tfa"] is True
    assert "enforce_tfa" not in jwt.get_unverified_claims(str(refreshed.cookies[0].value))


async def test_flows_and_repositories_require_tfa_setup_themselves(accounts):
    restricted = accounts.directory_as("ada", tfa_setup_required=True)
    with pytest.raises(TwoFactorSetupRequired):
        await SessionListService(restricted).all()
    with pytest.raises(TwoFactorSetupRequired):
        await SessionListService(restricted).revoke()
    with pytest.raises(Forbidden):
        await TwoFactorService(restricted).disable_for(uid("vi"))
    with pytest.raises(Forbidden):
        await restricted["users"].read_by_query()
    with pytest.raises(Forbidden):
        await restricted["users"].update_one(uid("vi"), {"title": "X"})


async def test_cached_access_is_not_used_once_tfa_is_removed(accounts):
    """TFA is disabled between two calls on one directory."""
    await accounts.update_user("ada", tfa_secret=SECRET)
    restricted = accounts.directory_as("ada", tfa_setup_required=True)
    assert (await restricted.fresh_access()).admin
    await accounts.update_user("ada", tfa_secret=None)

    with pytest.raises(Forbidden):
        await restricted["users"].update_one(uid("vi"), {"title": "X"})
    assert not (await restricted.fresh_access()).admin


async def test_a_token_that_requires_tfa_setup_is_valid_as_long_as_any_other(accounts):
    ed, kit = claims(await accounts.login("ed")), claims(await accounts.login("kit"))

    assert ed["exp"] - ed["iat"] == kit["exp"] - kit["iat"] == timedelta(minutes=15).total_seconds()
