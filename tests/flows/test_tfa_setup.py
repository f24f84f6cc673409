"""Where a policy wants a second factor: until there is one, a token is good for setting it up and nothing else."""

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
from tests.flows.clock import HASHED, PASSWORD, SECRET, AccountHarness, FrozenClock
from tests.http.test_graphql import PATH, bearer, served
from tests.world import OFFICE_IP, caller, static_token, uid

REASON = (
    "Two-factor authentication has to be set up before anything else: begin with users_me_tfa_generate, or "
    "POST /users/me/tfa/generate"
)
REFUSAL = {"errors": [{"message": f"{REASON}.", "extensions": {"reason": REASON, "code": "FORBIDDEN"}}]}
ME = {"query": "{ users_me { id } }"}
EVERYBODY = {"query": "{ users { id } }"}


@pytest_asyncio.fixture
async def place(inviters):
    """Ed, Kit and Ada have passwords; that of the house's staff is wanted with a second factor, that of Ada too."""
    place = AccountHarness(inviters, FrozenClock())
    for name in ("ed", "kit", "ada"):
        await place.give(name, password=HASHED, tfa_secret=None)
    await enforce(place, "Editors")
    await enforce(place, "Administrators")
    return place


@pytest_asyncio.fixture
async def client(place):
    async with served(place.system.settings, place.clock) as client:
        yield client


async def enforce(place, policy):
    await place.system.load({"directus_policies": [{"id": uid(f"policy-{policy}"), "enforce_tfa": True}]})


def claims(tokens):
    return jwt.get_unverified_claims(tokens.access)


async def token_of(place, name="ed"):
    return (await place.sign_in(name)).access


async def told(answer):
    return answer.status_code, answer.json()


async def test_a_token_requires_tfa_setup_if_an_effective_policy_enforces_it(place):
    assert claims(await place.sign_in("ed"))["enforce_tfa"] is True
    assert "enforce_tfa" not in claims(await place.sign_in("kit"))

    await place.give("ed", tfa_secret=SECRET)
    assert "enforce_tfa" not in claims(await place.sign_in("ed", otp=place.clock.code()))


@pytest.mark.parametrize("holder", ["her role", "its parent", "the parent of that", "herself", "everybody"])
async def test_a_policy_enforces_tfa_wherever_in_the_role_tree_it_is_attached(inviters, holder):
    """Directus asks only the role itself."""
    place = AccountHarness(inviters, FrozenClock())
    await place.give("ed", password=HASHED, tfa_secret=None)
    if holder == "everybody":
        await place.give("ed", role_id=None)
    given = {
        "her role": {"role": uid("role-Editor")},
        "its parent": {"role": uid("role-Staff")},
        "the parent of that": {"role": uid("role-House")},
        "herself": {"user": uid("ed")},
        "everybody": {},
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
            "directus_access": [{"id": uid("access-second"), "policy": uid("policy-Second"), **given}],
        }
    )

    assert claims(await place.sign_in("ed"))["enforce_tfa"] is True


async def test_a_policy_limited_to_a_network_enforces_tfa_only_there(place):
    await enforce(place, "Office")

    assert claims(await place.sign_in("kit", ip=OFFICE_IP))["enforce_tfa"] is True
    assert "enforce_tfa" not in claims(await place.sign_in("kit", ip="192.0.2.1"))


MORE = [
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
LITTLE = [
    "{ __typename }",
    "{ server_ping }",
    "{ server_info { project { project_name } } }",
    "{ __schema { queryType { fields { name } } } }",
    "mutation { utils_random_string }",
]


@pytest.mark.parametrize("name", ["ed", "ada"])
async def test_any_other_graphql_request_is_rejected_as_a_whole(place, client, name):
    mine = bearer(await token_of(place, name))
    for query in MORE:
        asked = {"query": query, "operationName": "A" if "query A" in query else None}
        assert await told(await client.post(PATH, json=asked, headers=mine)) == (403, REFUSAL), query
        if not query.startswith("mutation"):
            by_get = {name: value for name, value in asked.items() if value}
            assert await told(await client.get(PATH, params=by_get, headers=mine)) == (403, REFUSAL), query


async def test_graphql_fields_for_anonymous_callers_are_available(place, client):
    mine = bearer(await token_of(place))
    for query in LITTLE:
        status, answer = await told(await client.post(PATH, json={"query": query}, headers=mine))
        assert (status, "errors" in answer) == (200, False), query


async def test_introspection_shows_only_the_available_fields(place, client):
    mine = bearer(await token_of(place, "ada"))
    asked = {"query": "{ __schema { queryType { fields { name } } types { name } } }"}
    seen = str((await client.post(PATH, json=asked, headers=mine)).json())

    assert "server_ping" in seen
    assert "directus_users" not in seen
    assert "users_by_id" not in seen


async def test_an_invalid_setup_request_gets_its_own_error(place, client):
    mine = bearer(await token_of(place))
    wrong = {"query": 'mutation { users_me_tfa_enable(secret: "x") }'}
    status, answer = await told(await client.post(PATH, json=wrong, headers=mine))

    assert (status, answer["errors"][0]["extensions"]["code"]) == (400, "GRAPHQL_VALIDATION")


PATHS = [
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
async def test_every_collection_path_is_rejected(place, client, name):
    mine = bearer(await token_of(place, name))
    for method, path in PATHS:
        answer = await client.request(method, path, headers=mine)
        assert answer.status_code == 403, path
        assert method == "HEAD" or answer.json() == REFUSAL, path


async def test_an_upload_is_rejected(place, client):
    form = {"file": ("a.png", b"x", "image/png")}

    assert await told(await client.post("/files", files=form, headers=bearer(await token_of(place, "ada")))) == (
        403,
        REFUSAL,
    )


async def test_server_paths_are_available(place, client):
    assert (await client.get("/server/ping", headers=bearer(await token_of(place)))).text == "pong"


async def test_a_session_cookie_is_rejected_until_tfa_is_set_up(place, client):
    cookie = (await place.sign_in("ed", mode=TokenMode.SESSION)).cookies[0].value
    header = {"cookie": f"{place.system.settings.session_cookie_name}={cookie}"}

    assert await told(await client.post(PATH, json=ME, headers=header)) == (403, REFUSAL)
    assert await told(await client.get("/users/me", headers=header)) == (403, REFUSAL)
    await place.give("ed", tfa_secret=SECRET)
    assert (await client.post(PATH, json=ME, headers=header)).json() == {"data": {"users_me": {"id": uid("ed")}}}
    assert (await client.get("/users/me?fields=id", headers=header)).json() == {"data": {"id": uid("ed")}}


async def test_an_ended_session_cannot_set_up_tfa(place):
    cookie = (await place.sign_in("ed", mode=TokenMode.SESSION)).cookies[0].value
    session = jwt.get_unverified_claims(cookie)["session"]
    enrolling = place.as_("ed", session=session, enrolling=True)
    assert await TwoFactorService(enrolling).generate(PASSWORD)

    await SessionListService(place.as_("ed")).revoke()
    with pytest.raises(InvalidCredentials):
        await TwoFactorService(enrolling).generate(PASSWORD)


async def test_static_tokens_are_exempt(place, client):
    for name in ("ed", "ada"):
        answer = await client.post(PATH, json=ME, headers=bearer(static_token(name)))
        assert answer.json() == {"data": {"users_me": {"id": uid(name)}}}
        assert (await client.get("/users/me", headers=bearer(static_token(name)))).status_code == 200


@pytest.mark.parametrize("name", ["ed", "ada"])
async def test_the_same_token_has_full_access_once_tfa_is_set_up(place, client, name):
    """Asked often enough that plans are made of it, before and after, and after an admin took it away again."""
    mine = bearer(await token_of(place, name))

    async def everywhere():
        found = []
        for _ in range(3):
            for asked in (ME, EVERYBODY):
                found.append((await client.post(PATH, json=asked, headers=mine)).status_code)
                found.append((await client.get(PATH, params=asked, headers=mine)).status_code)
            paths = ("/users", "/users/me", "/roles/me", f"/users/{uid('vi')}")
            found += [(await client.get(path, headers=mine)).status_code for path in paths]
            change = {"query": "mutation { update_users_me(data: {language: null}) { id } }"}
            found.append((await client.post(PATH, json=change, headers=mine)).status_code)
        return set(found)

    assert await everywhere() == {403}
    await place.give(name, tfa_secret=SECRET)
    assert 200 in await everywhere()
    assert await told(await client.post(PATH, json=ME, headers=mine)) == (
        200,
        {"data": {"users_me": {"id": uid(name)}}},
    )
    await place.system.directory(caller("ada"))["users"].update_one(uid("ed"), {"tfa_secret": None})
    await place.give("ada", tfa_secret=None)
    assert await everywhere() == {403}


async def test_a_caller_who_must_set_up_tfa_gets_no_response_from_cached_plans(place):
    """Before the policy wanted it, the same user's questions were planned; and again with a second factor."""
    free = bearer((await place.sign_in("kit", ip=OFFICE_IP)).access)
    office = {"x-forwarded-for": OFFICE_IP}
    async with served(place.system.settings.model_copy(update={"ip_trust_proxy": True})) as client:
        for _ in range(3):
            answer = await client.post(PATH, json=EVERYBODY, headers=free | office)
            assert len(answer.json()["data"]["users"]) == 18
            assert len((await client.get("/users?fields=id", headers=free | office)).json()["data"]) == 18
        await enforce(place, "Office")
        bound = bearer((await place.sign_in("kit", ip=OFFICE_IP)).access)
        for _ in range(3):
            assert await told(await client.post(PATH, json=EVERYBODY, headers=bound | office)) == (403, REFUSAL)
            assert await told(await client.get("/users?fields=id", headers=bound | office)) == (403, REFUSAL)
        await place.give("kit", tfa_secret=SECRET)
        for _ in range(3):
            assert len((await client.post(PATH, json=EVERYBODY, headers=bound | office)).json()["data"]["users"]) == 18
            assert len((await client.get("/users?fields=id", headers=bound | office)).json()["data"]) == 18


async def test_the_restricted_token_can_set_up_tfa(place, client):
    """In REST and in GraphQL, as somebody goes who was told to."""
    mine = bearer(await token_of(place))
    by_rest = await client.post("/users/me/tfa/generate", json={"password": PASSWORD}, headers=mine)
    assert set(by_rest.json()["data"]) == {"secret", "otpauth_url"}
    wrong = await client.post("/users/me/tfa/enable", json={"otp": "000000", "secret": SECRET}, headers=mine)
    assert wrong.json()["errors"][0]["extensions"] == {"reason": '"otp" is invalid', "code": "INVALID_PAYLOAD"}
    generate = "mutation($p: String!) { users_me_tfa_generate(password: $p) { secret otpauth_url } }"
    made = await client.post(PATH, json={"query": generate, "variables": {"p": PASSWORD}}, headers=mine)
    secret = made.json()["data"]["users_me_tfa_generate"]["secret"]

    enable = "mutation($o: String!, $s: String!) { users_me_tfa_enable(otp: $o, secret: $s) }"
    shown = {"o": place.clock.code(secret), "s": secret}
    done = await client.post(PATH, json={"query": enable, "variables": shown}, headers=mine)
    assert done.json() == {"data": {"users_me_tfa_enable": True}}
    assert (await client.post(PATH, json=ME, headers=mine)).json() == {"data": {"users_me": {"id": uid("ed")}}}


async def test_a_refresh_updates_whether_tfa_setup_is_required(place):
    tokens = await place.sign_in("ed")
    staying = SessionService(Directory(PUBLIC, place.services))

    tokens = await staying.refresh(tokens.refresh, TokenMode.JSON)
    assert claims(tokens)["enforce_tfa"] is True
    await place.give("ed", tfa_secret=SECRET)
    tokens = await staying.refresh(tokens.refresh, TokenMode.JSON)
    assert "enforce_tfa" not in claims(tokens)
    await place.give("ed", tfa_secret=None)
    assert claims(await staying.refresh(tokens.refresh, TokenMode.JSON))["enforce_tfa"] is True


async def test_a_session_cookie_refresh_updates_whether_tfa_setup_is_required(place):
    cookie = (await place.sign_in("ed", mode=TokenMode.SESSION)).cookies[0].value
    via = ClientInfo(cookies={place.system.settings.session_cookie_name: cookie})
    await place.give("ed", tfa_secret=SECRET)
    after = await SessionService(Directory(PUBLIC, place.services, lambda: via)).refresh(None, TokenMode.SESSION)

    assert jwt.get_unverified_claims(cookie)["enforce_tfa"] is True
    assert "enforce_tfa" not in jwt.get_unverified_claims(str(after.cookies[0].value))


async def test_flows_and_repositories_require_tfa_setup_themselves(place):
    enrolling = place.as_("ada", enrolling=True)
    with pytest.raises(TwoFactorSetupRequired):
        await SessionListService(enrolling).all()
    with pytest.raises(TwoFactorSetupRequired):
        await SessionListService(enrolling).revoke()
    with pytest.raises(Forbidden):
        await TwoFactorService(enrolling).disable_for(uid("vi"))
    with pytest.raises(Forbidden):
        await enrolling["users"].read_by_query()
    with pytest.raises(Forbidden):
        await enrolling["users"].update_one(uid("vi"), {"title": "X"})


async def test_cached_access_is_not_used_once_tfa_is_removed(place):
    """The second factor goes between two questions of one directory."""
    await place.give("ada", tfa_secret=SECRET)
    enrolling = place.as_("ada", enrolling=True)
    assert (await enrolling.fresh_access()).admin
    await place.give("ada", tfa_secret=None)

    with pytest.raises(Forbidden):
        await enrolling["users"].update_one(uid("vi"), {"title": "X"})
    assert not (await enrolling.fresh_access()).admin


async def test_a_token_that_requires_tfa_setup_is_valid_as_long_as_any_other(place):
    """Their first token is like any other, and good as long."""
    ed, kit = claims(await place.sign_in("ed")), claims(await place.sign_in("kit"))

    assert ed["exp"] - ed["iat"] == kit["exp"] - kit["iat"] == timedelta(minutes=15).total_seconds()
