"""Accounts over GraphQL: login, refresh and logout in each mode, and mutations that may occur only once per request."""

import asyncio
import functools
import gc
import re
import types
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import delete, func, select, update
from starlette.routing import Router

from app.core.cache import LRUCache
from app.core.clock import utc_now
from app.core.config import signing_secret
from app.db.models import ATTEMPTS, Session, User
from app.graphql.schema import schema
from app.http.authentication import Authenticator
from app.http.endpoints.graphql import GraphQLEndpoint
from app.main import GRAPHQL, RollcallApp
from app.repositories.services import Services
from tests.base_data import caller, cheap_hash, static_token, uid
from tests.flows.clock import ShortSecretTOTP
from tests.http.test_graphql import PATH, bearer, served

PASSWORD = "correct, but only here"
PASSWORD_HASH = cheap_hash(PASSWORD)
TOKENS = "{ access_token refresh_token expires }"
LOGIN = (
    "mutation($e: String!, $p: String!, $m: auth_mode, $o: String) "
    f"{{ auth_login(email: $e, password: $p, mode: $m, otp: $o) {TOKENS} }}"
)
REFRESH = f"mutation($r: String, $m: auth_mode) {{ auth_refresh(refresh_token: $r, mode: $m) {TOKENS} }}"
LOGOUT = "mutation($r: String, $m: auth_mode) { auth_logout(refresh_token: $r, mode: $m) }"
ME = "{ users_me { id } }"
VI = {"data": {"users_me": {"id": uid("vi")}}}
SESSION, TO_REFRESH = "directus_session_token", "directus_refresh_token"


def settings_of(system, **overrides):
    return system.settings.model_copy(update={"login_stall_time": timedelta(0), **overrides})


@pytest_asyncio.fixture
async def members(editors):
    """Users of whom only Vi has a password."""
    async with editors.database.transaction() as connection:
        await connection.execute(
            update(User).where(User.id == uid("vi")).values(password=PASSWORD_HASH, tfa_secret=None, title="Viewer")
        )
    return editors


@pytest_asyncio.fixture
async def client(members):
    async with served(settings_of(members)) as client:
        yield client


@pytest_asyncio.fixture(scope="module")
async def readonly_client(readonly_db):
    """A client of a server on the shared, read-only database."""
    async with served(readonly_db.settings) as client:
        yield client


@asynccontextmanager
async def client_with_clock(system, clock, **overrides):
    """A client of the GraphQL endpoint with a clock of the test's own."""
    services = Services.from_settings(system.database, settings_of(system, **overrides), clock)
    authenticator = Authenticator(signing_secret(system.settings), SESSION, trust=False)
    app = RollcallApp({GRAPHQL: GraphQLEndpoint(services, authenticator)}, Router(), services, authenticator)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rollcall") as client:
        yield client


async def ask(client, query, cookies=None, headers=None, **variables):
    """Send a query with these cookies only."""
    client.cookies.clear()
    cookie_header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
    return await client.post(
        PATH, json={"query": query, "variables": variables}, headers={**cookie_header, **(headers or {})}
    )


def login(client, mode=None, email="vi@example.com", password=PASSWORD):
    return ask(client, LOGIN, e=email, p=password, m=mode)


def response_data(response):
    """Return the value of the only field of a response without errors."""
    assert "errors" not in response.json(), response.text
    (value,) = response.json()["data"].values()
    return value


def error_code(response):
    """Return the code of the only error of a response."""
    (error,) = response.json()["errors"]
    return error["extensions"]["code"]


def response_cookies(response):
    """Return the names and values of the cookies that a response sets."""
    return [header.split(";")[0].split("=", 1) for header in response.headers.get_list("set-cookie")]


def response_cookie(response):
    ((name, value),) = response_cookies(response)
    return {name: value}


async def count(system, table):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(table))


async def test_in_json_mode_both_tokens_are_returned(client):
    for mode in (None, "json"):
        response = await login(client, mode)
        tokens = response_data(response)

        assert tokens["expires"] == "900000"
        assert len(tokens["refresh_token"]) == 64
        assert response_cookies(response) == []
        assert response.headers["cache-control"] == "no-store"
        assert (await ask(client, ME, headers=bearer(tokens["access_token"]))).json() == VI


COOKIE_ATTRIBUTES = (
    r"Max-Age={}; Path=/; Expires=(\w\w\w, \d\d \w\w\w \d{{4}} \d\d:\d\d:\d\d GMT); HttpOnly; SameSite=Lax"
)


@pytest.mark.parametrize(
    ("mode", "name", "seconds", "expires"),
    [("cookie", TO_REFRESH, 604_800, "900000"), ("session", SESSION, 86_400, "86400000")],
)
async def test_in_the_other_modes_a_cookie_contains_the_token(client, mode, name, seconds, expires):
    response = await login(client, mode)
    tokens = response_data(response)

    assert (tokens["refresh_token"], tokens["expires"]) == (None, expires)
    assert (tokens["access_token"] is None) == (mode == "session")
    assert response.headers["cache-control"] == "no-store"
    (header,) = response.headers.get_list("set-cookie")
    match = re.fullmatch(rf"{name}=([\w.-]{{64,}}); {COOKIE_ATTRIBUTES.format(seconds)}", header)
    assert match, header
    remaining = parsedate_to_datetime(match[2]) - datetime.now(UTC)
    assert timedelta(seconds=seconds - 60) < remaining <= timedelta(seconds=seconds)
    credentials = {"cookies": {name: match[1]}} if mode == "session" else {"headers": bearer(tokens["access_token"])}
    assert (await ask(client, ME, **credentials)).json() == VI


async def test_the_settings_determine_the_cookie_attributes(members):
    cookie_settings = {
        "cookie_name": "mine",
        "cookie_secure": True,
        "cookie_same_site": "none",
        "cookie_domain": "example.com",
    }
    for mode, kind in (("session", "session"), ("cookie", "refresh_token")):
        settings = settings_of(members, **{f"{kind}_{name}": value for name, value in cookie_settings.items()})
        async with served(settings) as client:
            (header,) = (await login(client, mode)).headers.get_list("set-cookie")

        parts = header.split("; ")
        assert parts[0].startswith("mine=")
        assert {"Secure", "SameSite=None", "Domain=example.com", "HttpOnly", "Path=/"} < set(parts)


FAILING_LOGINS = [
    ("vi@example.com", "wrong"),
    ("vi@example.com", ""),
    ("nobody@example.com", PASSWORD),
    ("sue@example.com", PASSWORD),  # suspended
    ("not an address", PASSWORD),
    ("", ""),
]


async def test_all_failed_logins_return_the_same_field_error(client, members):
    responses = [await login(client, "session", email, password) for email, password in FAILING_LOGINS]

    location = {"locations": [{"line": 1, "column": LOGIN.index("auth_login") + 1}], "path": ["auth_login"]}
    error = {"message": "Invalid user credentials.", "extensions": {"code": "INVALID_CREDENTIALS"}, **location}
    for response in responses:
        assert response.status_code == 200
        assert response.json() == {"data": {"auth_login": None}, "errors": [error]}
        assert response_cookies(response) == []
    assert await count(members, Session) == 0


async def test_login_with_disabled_passwords_is_a_provider_error(members):
    async with served(settings_of(members, auth_disable_default=True)) as client:
        response = await login(client)

    assert error_code(response) == "INVALID_PROVIDER_CONFIG"
    assert response.json()["errors"][0]["extensions"]["provider"] == "default"


async def test_an_unknown_mode_is_a_validation_error(client):
    response = await login(client, "bogus")

    assert (response.status_code, error_code(response)) == (400, "GRAPHQL_VALIDATION")
    assert "auth_mode" in response.text


async def test_a_refresh_token_is_valid_once(client):
    first = response_data(await login(client))
    response = await ask(client, REFRESH, r=first["refresh_token"], m="json")
    second = response_data(response)
    rejected = await ask(client, REFRESH, r=first["refresh_token"])

    assert second["expires"] == "900000"
    assert second["refresh_token"] != first["refresh_token"]
    assert response.headers["cache-control"] == "no-store"
    assert (rejected.status_code, rejected.json()["data"], error_code(rejected)) == (
        200,
        {"auth_refresh": None},
        "INVALID_CREDENTIALS",
    )
    assert (await ask(client, ME, headers=bearer(second["access_token"]))).json() == VI
    assert response_data(await ask(client, REFRESH, r=second["refresh_token"]))["access_token"]


async def test_a_refresh_by_cookie_returns_a_new_cookie(client):
    cookie = response_cookie(await login(client, "cookie"))
    response = await ask(client, REFRESH, cookie, m="cookie")
    tokens, new_cookie = response_data(response), response_cookie(response)

    assert (tokens["refresh_token"], tokens["expires"]) == (None, "900000")
    assert (await ask(client, ME, headers=bearer(tokens["access_token"]))).json() == VI
    assert new_cookie.keys() == {TO_REFRESH}
    assert error_code(await ask(client, REFRESH, cookie, m="cookie")) == "INVALID_CREDENTIALS"
    assert response_data(await ask(client, REFRESH, new_cookie, m="cookie"))["access_token"]


async def test_a_refresh_without_a_token_says_where_to_send_it(client):
    response = await ask(client, REFRESH)

    assert error_code(response) == "INVALID_PAYLOAD"
    assert "The refresh token is required in either the payload or cookie" in response.text


async def test_two_tabs_refreshing_one_session_concurrently_both_stay_logged_in(client, members):
    cookie = response_cookie(await login(client, "session"))
    body, headers = {"query": REFRESH, "variables": {"m": "session"}}, {"Cookie": f"{SESSION}={cookie[SESSION]}"}
    tabs = await asyncio.gather(*(client.post(PATH, json=body, headers=headers) for _ in range(2)))

    assert [response_data(tab) for tab in tabs] == 2 * [
        {"access_token": None, "refresh_token": None, "expires": "86400000"}
    ]
    for tab in tabs:
        assert (await ask(client, ME, response_cookie(tab))).json() == VI
    assert await count(members, Session) == 2  # the old one, and one new one for both tabs


async def test_a_refreshed_cookie_stays_valid_for_the_grace_period_of_ten_seconds(members):
    elapsed = timedelta(0)
    async with client_with_clock(members, lambda: utc_now() + elapsed) as client:
        old = response_cookie(await login(client, "session"))
        new = response_cookie(await ask(client, REFRESH, old, m="session"))
        elapsed = timedelta(seconds=9)
        assert (await ask(client, ME, old)).json() == VI
        elapsed = timedelta(seconds=11)
        expired = await ask(client, ME, old)

        assert (expired.status_code, error_code(expired)) == (401, "INVALID_CREDENTIALS")
        assert (await ask(client, ME, new)).json() == VI


async def test_a_cookie_of_a_deleted_session_is_cleared(client, members):
    cookie = response_cookie(await login(client, "session"))
    async with members.database.transaction() as connection:
        await connection.execute(delete(Session))
    rejected = await client.post(PATH, json={"query": ME}, headers={"Cookie": f"{SESSION}={cookie[SESSION]}"})

    assert rejected.status_code == 401
    assert response_cookie(rejected) == {SESSION: ""}
    assert "Max-Age=0" in rejected.headers["set-cookie"]
    with_bearer = {"Cookie": f"{SESSION}={cookie[SESSION]}", **bearer("nobodys")}
    assert response_cookies(await client.post(PATH, json={"query": ME}, headers=with_bearer)) == []


async def test_logout_in_json_mode_ends_the_session(client, members):
    tokens = response_data(await login(client))
    response = await ask(client, LOGOUT, r=tokens["refresh_token"])

    assert response_data(response) is True
    assert response_cookies(response) == []
    assert await count(members, Session) == 0
    assert error_code(await ask(client, REFRESH, r=tokens["refresh_token"])) == "INVALID_CREDENTIALS"
    assert response_data(await ask(client, LOGOUT, r=tokens["refresh_token"])) is True
    assert response_data(await ask(client, LOGOUT, r="no such token")) is True


async def test_logout_by_cookie_ends_the_session_and_clears_the_cookie(client, members):
    cookie = response_cookie(await login(client, "cookie"))
    response = await ask(client, LOGOUT, cookie, m="cookie")

    assert response_data(response) is True
    assert response_cookie(response) == {TO_REFRESH: ""}
    assert await count(members, Session) == 0


@pytest.mark.parametrize("sent", ["old", "new"])
async def test_logout_of_a_session_ends_its_predecessor_and_successor_too(client, members, sent):
    old = response_cookie(await login(client, "session"))
    new = response_cookie(await ask(client, REFRESH, old, m="session"))
    response = await ask(client, LOGOUT, {"old": old, "new": new}[sent], m="session")

    assert response_data(response) is True
    assert response_cookie(response) == {SESSION: ""}
    assert await count(members, Session) == 0
    for cookie in (old, new):
        assert (await ask(client, ME, cookie)).status_code == 401


async def test_stored_hashes_of_refresh_tokens_are_not_accepted_as_tokens(members):
    async with served(settings_of(members, refresh_token_store="hashed")) as client:
        token = response_data(await login(client))["refresh_token"]
        async with members.database.transaction() as connection:
            stored = await connection.scalar(select(Session.token))

        assert token not in stored
        for name in (None, TO_REFRESH):
            arguments = {"r": stored} if name is None else {"m": "cookie", "cookies": {name: stored}}
            assert error_code(await ask(client, REFRESH, **arguments)) == "INVALID_CREDENTIALS"
        new_token = response_data(await ask(client, REFRESH, r=token))["refresh_token"]
        assert response_data(await ask(client, LOGOUT, r=new_token)) is True
        assert await count(members, Session) == 0


@pytest.mark.both_databases
@pytest.mark.parametrize("mode", ["json", "session"])
async def test_a_suspended_user_cannot_refresh(client, members, mode):
    response = await login(client, mode)
    arguments = (
        {"r": response_data(response)["refresh_token"]} if mode == "json" else {"cookies": response_cookie(response)}
    )
    async with members.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(status="suspended"))

    assert error_code(await ask(client, REFRESH, m=mode, **arguments)) == "INVALID_CREDENTIALS"


ARGS = '(email: "vi@example.com", password: "wrong") { expires }'
REPEATED_MUTATIONS = {
    "aliases": "mutation { " + " ".join(f"a{n}: auth_login{ARGS}" for n in range(30)) + " }",
    "the same field twice": f"mutation {{ auth_login{ARGS} auth_login{ARGS} }}",
    "a fragment spread twice": f"mutation {{ ...A ...A }} fragment A on Mutation {{ auth_login{ARGS} }}",
    "a fragment in a fragment": f"mutation {{ auth_login{ARGS} ...A }} fragment A on Mutation {{ ...B }} "
    f"fragment B on Mutation {{ b: auth_login{ARGS} }}",
    "an inline fragment": f"mutation {{ a: auth_login{ARGS} ... on Mutation {{ b: auth_login{ARGS} }} }}",
    "one skipped": f"mutation {{ a: auth_login{ARGS} b: auth_login{ARGS.replace('{', '@skip(if: true) {')} }}",
    "one not included": f"mutation {{ a: auth_login{ARGS} ... @include(if: false) {{ b: auth_login{ARGS} }} }}",
    "two different ones": f'mutation {{ auth_login{ARGS} utils_hash_generate(string: "x") }}',
    "a field between them": f'mutation {{ auth_login{ARGS} utils_random_string users_me_tfa_disable(otp: "1") }}',
    "another one before it": f'mutation {{ users_register_verify(token: "x") auth_login{ARGS} }}',
}


@pytest.mark.parametrize("form", REPEATED_MUTATIONS)
async def test_a_request_with_two_sensitive_mutations_executes_none(readonly_client, readonly_db, form):
    response = await readonly_client.post(PATH, json={"query": REPEATED_MUTATIONS[form]})

    assert (response.status_code, error_code(response)) == (400, "GRAPHQL_VALIDATION")
    assert "A request may contain only one of these mutations" in response.text
    assert await count(readonly_db, ATTEMPTS) == 0


async def test_other_operations_and_insensitive_mutations_do_not_count(client):
    two_operations = f"mutation A {{ auth_login{ARGS} }} mutation B {{ auth_login{ARGS} }}"
    one_of_two = await client.post(PATH, json={"query": two_operations, "operationName": "A"})
    with_others = await client.post(
        PATH, json={"query": f"mutation {{ a: utils_random_string auth_login{ARGS} b: utils_random_string }}"}
    )

    assert error_code(one_of_two) == error_code(with_others) == "INVALID_CREDENTIALS"
    assert len(with_others.json()["data"]["b"]) == 32


@pytest.mark.both_databases
async def test_repeating_a_hidden_mutation_does_not_disclose_it(readonly_client):
    invitation = '(email: "a@example.com", role: "x")'
    response = await readonly_client.post(
        PATH, json={"query": f"mutation {{ a: users_invite{invitation} b: users_invite{invitation} }}"}
    )

    assert "Cannot query field" in response.text
    assert "One request" not in response.text


def cached_texts():
    """Return all texts that are reachable from any LRU cache of the process."""
    gc.unfreeze()  # objects frozen at the server's start are searched too
    texts, seen = set[str](), set[int]()
    pending: list[object] = [  # `isinstance` would look behind weak proxies, some of which are dead
        object_ for object_ in gc.get_objects() if issubclass(type(object_), LRUCache | functools._lru_cache_wrapper)
    ]
    while pending:
        object_ = pending.pop()
        if id(object_) in seen or issubclass(
            type(object_),
            type | types.ModuleType | types.FunctionType | types.FrameType | types.CoroutineType | asyncio.Future,
        ):
            continue
        seen.add(id(object_))
        if isinstance(object_, str | bytes):
            texts.add(object_ if isinstance(object_, str) else object_.decode("latin-1"))
        pending += gc.get_referents(object_)
    return texts


DOCUMENTS_WITH_PASSWORDS = {
    "literal": 'mutation {{ auth_login(email: "vi@example.com", password: "{0}") {{ expires }} }}',
    "twice": 'mutation {{ auth_login(email: "{0}", password: "{0}") {{ expires }} }}',
    "with a variable": 'mutation A($e: String = "a") {{ auth_login(email: $e, password: "{0}") {{ expires }} }}',
    "in another operation": (
        'query A {{ users {{ id }} }} mutation B {{ auth_login(email: "a", password: "{0}") {{ expires }} }}'
    ),
    "in another operation, with a variable": (
        "query A {{ users {{ id }} }} "
        'mutation B($e: String!) {{ auth_login(email: $e, password: "{0}") {{ expires }} }}'
    ),
    "with introspection": (
        "query A {{ __schema {{ queryType {{ name }} }} }} "
        'mutation B {{ auth_login(email: "a", password: "{0}") {{ expires }} }}'
    ),
}


@pytest.mark.planning
async def test_no_text_with_a_password_is_cached(client):
    passwords, marker = {form: uuid4().hex for form in DOCUMENTS_WITH_PASSWORDS}, f"K{uuid4().hex}"
    for _ in range(3):
        for form, password in passwords.items():
            text = DOCUMENTS_WITH_PASSWORDS[form].format(password)
            body = {"query": text, "operationName": "A" if " A" in text else None}
            assert (await client.post(PATH, json=body, headers=bearer(static_token("ada")))).status_code == 200
        await client.post(
            PATH, json={"query": f"query {marker} {{ users {{ id }} }}"}, headers=bearer(static_token("ada"))
        )

    texts = cached_texts()
    assert [form for form, password in passwords.items() if any(password in text for text in texts)] == []
    assert any(marker in text for text in texts)  # proves that cached texts are found


ACCOUNT_DOCUMENTS = [
    'mutation { users_me_tfa_generate(password: "x") { secret } }',
    'mutation { users_me_tfa_enable(otp: "1", secret: "x") }',
    'mutation { users_me_tfa_disable(otp: "1") }',
    'mutation { users_me_tfa_recovery_codes(otp: "1") }',
    "mutation { users_me_sessions_revoke }",
    "{ users_me_sessions { id } }",
]


@pytest.mark.parametrize("query", ACCOUNT_DOCUMENTS)
async def test_account_fields_are_null_for_anonymous_callers(readonly_client, query):
    assert response_data(await ask(readonly_client, query)) is None


async def test_a_random_string_has_the_requested_length(readonly_client):
    mutation = "mutation($n: Int) { utils_random_string(length: $n) }"
    for requested, length in ((None, 32), (1, 1), (500, 500)):
        text = response_data(await ask(readonly_client, mutation, n=requested))
        assert re.fullmatch(rf"[A-Za-z0-9_-]{{{length}}}", text)
    assert response_data(await ask(readonly_client, mutation)) != response_data(await ask(readonly_client, mutation))
    for requested in (0, 501, -1):
        assert '\\"length\\" must be between 1 and 500' in (await ask(readonly_client, mutation, n=requested)).text


HASH = "mutation($s: String!) { utils_hash_generate(string: $s) }"
VERIFY = "mutation($s: String!, $h: String!) { utils_hash_verify(string: $s, hash: $h) }"
SALT_AND_HASH = "$c29tZSBzYWx0$" + "A" * 43


async def test_a_hash_verifies_only_its_own_text(readonly_client):
    for text in ("hello", "x" * 1024, "with\0nul", "Čapek"):
        hashed = response_data(await ask(readonly_client, HASH, s=text))
        assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
        assert response_data(await ask(readonly_client, VERIFY, s=text, h=hashed)) is True
        assert response_data(await ask(readonly_client, VERIFY, s="another", h=hashed)) is False


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("x", "zzz"),
        ("x", ""),
        ("x", "$2b$12$" + "a" * 53),
        ("x", "$argon2id$v=19$m=65536,t=3,p=4$short"),
        ("x", "$argon2id$v=19$m=65536,t=3,p=4" + SALT_AND_HASH * 20),
        ("x", "$argon2id$v=19$m=4194304,t=3,p=4" + SALT_AND_HASH),  # would need 4 GiB of memory
        ("x", "$argon2id$v=19$m=65536,t=100000,p=4" + SALT_AND_HASH),  # would take an hour
        ("x", "$argon2id$v=19$m=65536,t=3,p=255" + SALT_AND_HASH),
        ("", "$argon2id$v=19$m=65536,t=3,p=4" + SALT_AND_HASH),
        ("x" * 1025, "$argon2id$v=19$m=65536,t=3,p=4" + SALT_AND_HASH),
    ],
)
async def test_invalid_and_too_expensive_hashes_are_invalid_payloads(readonly_client, text, hashed):
    response = await ask(readonly_client, VERIFY, s=text, h=hashed)

    assert error_code(response) == "INVALID_PAYLOAD"
    assert (
        error_code(await ask(readonly_client, HASH, s="" if hashed == PASSWORD_HASH and not text else "x" * 1025))
        == "INVALID_PAYLOAD"
    )


async def test_anonymous_hashing_does_not_block_logins(members):
    assert members.services.utility_hasher is not members.services.passwords
    async with served(settings_of(members, hash_memory_cost=65536)) as client:
        hash_requests = [
            asyncio.create_task(client.post(PATH, json={"query": HASH, "variables": {"s": "x"}})) for _ in range(20)
        ]
        await asyncio.sleep(0)
        assert response_data(
            await client.post(PATH, json={"query": LOGIN, "variables": {"e": "vi@example.com", "p": PASSWORD}})
        )
        assert sum(task.done() for task in hash_requests) < len(hash_requests)
        await asyncio.gather(*hash_requests)


async def test_only_administrators_clear_the_cache_and_access_is_loaded_again(members):
    mutation = "mutation { utils_cache_clear }"
    for user in ("ed", None):
        rejected = await members.execute(mutation, caller=caller(user))
        assert rejected.errors[0].original_error.code == "FORBIDDEN"

    before = await members.directory(caller("ed")).access()
    assert await members.directory(caller("ed")).access() is before
    cleared = await members.execute(mutation, caller=caller("ada"))
    after = await members.directory(caller("ed")).access()

    assert (cleared.data, cleared.errors) == ({"utils_cache_clear": None}, None)
    assert after is not before
    assert after.shape is not before.shape  # plans are cached by shape


@pytest.mark.planning
async def test_clearing_the_cache_discards_plans(members):
    async def planned():
        directory = members.directory(caller("ada"))
        access = await directory.access()
        prepared: Any = schema.plans.bind(directory, access, "{ users { id } }", None, None)
        return prepared.planned_query

    before = await planned()
    assert await planned() is before
    await members.execute("mutation { utils_cache_clear }", caller=caller("ada"))
    assert await planned() is not before


ADA = bearer(static_token("ada"))
INVITE = "mutation($e: String!, $r: String!, $u: String) { users_invite(email: $e, role: $r, invite_url: $u) }"


async def test_an_administrator_sends_and_revokes_an_invitation(client):
    revoke = "mutation($e: String!) { users_invite_revoke(email: $e) }"
    invited_users = '{ users(filter: { email: { _eq: "new@example.com" } }) { status role { name } } }'

    assert response_data(await ask(client, INVITE, headers=ADA, e="new@example.com", r=uid("role-Viewer"))) is True
    assert response_data(await ask(client, invited_users, headers=ADA)) == [
        {"status": "invited", "role": {"name": "Viewer"}}
    ]
    assert response_data(await ask(client, revoke, headers=ADA, e="new@example.com")) is True
    assert response_data(await ask(client, revoke, headers=ADA, e="new@example.com")) is False
    assert response_data(await ask(client, invited_users, headers=ADA)) == []
    rejected = await ask(
        client, INVITE, headers=ADA, e="new@example.com", r=uid("role-Viewer"), u="http://x.example.com"
    )
    assert "can't be used to invite users" in rejected.text


LINK_MUTATIONS = {
    'users_invite_accept(token: "x", password: "y")': "INVALID_TOKEN",
    'users_register(email: "a@example.com", password: "y", first_name: "A")': "FORBIDDEN",
    'users_register_verify(token: "x")': "INVALID_TOKEN",
    'auth_password_reset(token: "x", password: "y")': "INVALID_TOKEN",
    'auth_password_request(email: "vi@example.com", reset_url: "http://x.example.com")': "INVALID_PAYLOAD",
}


async def test_errors_of_link_mutations_are_field_errors(client):
    for field, expected in LINK_MUTATIONS.items():
        response = await ask(client, f"mutation {{ {field} }}")
        assert (response.status_code, error_code(response)) == (200, expected), field
        assert response.json()["data"] == {field.partition("(")[0]: None}
    assert response_data(await ask(client, 'mutation { auth_password_request(email: "vi@example.com") }')) is True
    assert response_data(await ask(client, 'mutation { auth_password_request(email: "nobody@example.com") }')) is True


@pytest_asyncio.fixture
async def frozen(members):
    """A client of a server whose clock stands still, so that no one-time password expires, and its time."""
    now = utc_now()
    async with served(settings_of(members), lambda: now) as client:
        yield client, now


async def test_tfa_is_set_up_and_disabled(frozen):
    client, now = frozen
    headers = bearer(response_data(await login(client))["access_token"])
    generate = "mutation($p: String!) { users_me_tfa_generate(password: $p) { secret otpauth_url } }"
    wrong = await ask(client, generate, headers=headers, p="wrong")
    response = await ask(client, generate, headers=headers, p=PASSWORD)
    setup = response_data(response)

    assert (wrong.status_code, error_code(wrong)) == (200, "INVALID_CREDENTIALS")
    assert setup["otpauth_url"].startswith("otpauth://totp/")
    assert f"secret={setup['secret']}" in setup["otpauth_url"]
    assert response.headers["cache-control"] == "no-store"
    enable = "mutation($o: String!, $s: String!) { users_me_tfa_enable(otp: $o, secret: $s) }"
    otp = ShortSecretTOTP(setup["secret"]).at(now)
    assert response_data(await ask(client, enable, headers=headers, o=otp, s=setup["secret"])) is True
    recovery = "mutation($o: String!) { users_me_tfa_recovery_codes(otp: $o) }"
    recovery_codes = await ask(client, recovery, headers=headers, o=otp)
    assert recovery_codes.headers["cache-control"] == "no-store"
    assert len(set(response_data(recovery_codes))) == 10
    disable = "mutation($o: String!) { users_me_tfa_disable(otp: $o) }"
    for used_or_wrong in (otp, "000000"):
        assert error_code(await ask(client, disable, headers=headers, o=used_or_wrong)) == "INVALID_PAYLOAD"
    assert response_data(await ask(client, disable, headers=headers, o=response_data(recovery_codes)[0])) is True
    assert response_data(await login(client))["access_token"]


OWN_SESSIONS = "{ users_me_sessions { id ip user_agent origin expires current } }"
SESSIONS_OF = "query($u: ID!) { users_sessions(user: $u) { id current } }"


@pytest.mark.both_databases
async def test_users_list_and_revoke_their_own_sessions(client):
    current, revoked, other = [response_cookie(await login(client, "session")) for _ in range(3)]
    sessions = response_data(await ask(client, OWN_SESSIONS, current))
    sessions_of_revoked = response_data(await ask(client, OWN_SESSIONS, revoked))
    revoke = "mutation($i: ID) { users_me_sessions_revoke(id: $i) }"

    assert len(sessions) == 3
    assert [session["current"] for session in sessions].count(True) == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sessions[0]["expires"])
    (revoked_id,) = (session["id"] for session in sessions_of_revoked if session["current"])
    assert response_data(await ask(client, revoke, current, i=revoked_id)) == 1
    assert (await ask(client, ME, revoked)).status_code == 401
    assert response_data(await ask(client, revoke, current)) == 1
    assert (await ask(client, ME, other)).status_code == 401
    assert (await ask(client, ME, current)).json() == VI


@pytest.mark.both_databases
async def test_administrators_list_and_revoke_the_sessions_of_other_users(client):
    cookie = response_cookie(await login(client, "session"))
    revoke = "mutation($u: ID!, $i: ID) { users_sessions_revoke(user: $u, id: $i) }"
    (session,) = response_data(await ask(client, SESSIONS_OF, headers=ADA, u=uid("vi")))

    assert session["current"] is False
    assert response_data(await ask(client, revoke, headers=ADA, u=uid("vi"), i=session["id"])) == 1
    assert (await ask(client, ME, cookie)).status_code == 401
    assert response_data(await ask(client, SESSIONS_OF, headers=ADA, u=uid("vi"))) == []
    for headers in (bearer(static_token("ed")), None):
        rejected = await ask(client, SESSIONS_OF, headers=headers, u=uid("ed"))
        assert (rejected.status_code, error_code(rejected)) == (400, "GRAPHQL_VALIDATION")
