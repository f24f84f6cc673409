"""Accounts by GraphQL: signing in, staying and leaving in each mode, and what one request may not have twice."""

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
from tests.flows.clock import ShortSecretTOTP
from tests.http.test_graphql import PATH, bearer, served
from tests.world import caller, cheap_hash, static_token, uid

PASSWORD = "correct, but only here"
HASHED = cheap_hash(PASSWORD)
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


def changed(system, **values):
    return system.settings.model_copy(update={"login_stall_time": timedelta(0), **values})


@pytest_asyncio.fixture
async def members(editors):
    """Vi, who has a password; nobody else has."""
    async with editors.database.transaction() as connection:
        await connection.execute(
            update(User).where(User.id == uid("vi")).values(password=HASHED, tfa_secret=None, title="Viewer")
        )
    return editors


@pytest_asyncio.fixture
async def client(members):
    async with served(changed(members)) as client:
        yield client


@pytest_asyncio.fixture(scope="session")
async def looking(readonly_db):
    """A client of whom nothing is left in the database."""
    async with served(readonly_db.settings) as client:
        yield client


@asynccontextmanager
async def by_the_clock(system, clock, **values):
    """The same door, where it is as late as a clock says."""
    services = Services.from_settings(system.database, changed(system, **values), clock)
    identity = Authenticator(signing_secret(system.settings), SESSION, trust=False)
    app = RollcallApp({GRAPHQL: GraphQLEndpoint(services, identity)}, Router(), services, identity)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rollcall") as client:
        yield client


async def ask(client, query, cookies=None, headers=None, **variables):
    """An answer; only the cookies named go along, whatever came before."""
    client.cookies.clear()
    sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
    return await client.post(PATH, json={"query": query, "variables": variables}, headers={**sent, **(headers or {})})


def login(client, mode=None, email="vi@example.com", password=PASSWORD):
    return ask(client, LOGIN, e=email, p=password, m=mode)


def told(answer):
    """What the only field of an answer tells; there was no error."""
    assert "errors" not in answer.json(), answer.text
    (value,) = answer.json()["data"].values()
    return value


def code(answer):
    """The code of an answer's only error."""
    (error,) = answer.json()["errors"]
    return error["extensions"]["code"]


def handed(answer):
    """The cookies that an answer sets."""
    return [header.split(";")[0].split("=", 1) for header in answer.headers.get_list("set-cookie")]


def the_cookie(answer):
    ((name, value),) = handed(answer)
    return {name: value}


async def count(system, what):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(what))


async def test_in_json_mode_both_tokens_are_told(client):
    for mode in (None, "json"):
        answer = await login(client, mode)
        tokens = told(answer)

        assert tokens["expires"] == "900000"
        assert len(tokens["refresh_token"]) == 64
        assert handed(answer) == []
        assert answer.headers["cache-control"] == "no-store"
        assert (await ask(client, ME, headers=bearer(tokens["access_token"]))).json() == VI


FLAGS = r"Max-Age={}; Path=/; Expires=(\w\w\w, \d\d \w\w\w \d{{4}} \d\d:\d\d:\d\d GMT); HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    ("mode", "name", "seconds", "expires"),
    [("cookie", TO_REFRESH, 604_800, "900000"), ("session", SESSION, 86_400, "86400000")],
)
async def test_in_the_other_modes_a_cookie_carries_what_is_not_told(client, mode, name, seconds, expires):
    answer = await login(client, mode)
    tokens = told(answer)

    assert (tokens["refresh_token"], tokens["expires"]) == (None, expires)
    assert (tokens["access_token"] is None) == (mode == "session")
    assert answer.headers["cache-control"] == "no-store"
    (header,) = answer.headers.get_list("set-cookie")
    found = re.fullmatch(rf"{name}=([\w.-]{{64,}}); {FLAGS.format(seconds)}", header)
    assert found, header
    left = parsedate_to_datetime(found[2]) - datetime.now(UTC)
    assert timedelta(seconds=seconds - 60) < left <= timedelta(seconds=seconds)
    shown = {"cookies": {name: found[1]}} if mode == "session" else {"headers": bearer(tokens["access_token"])}
    assert (await ask(client, ME, **shown)).json() == VI


async def test_the_cookies_are_as_the_settings_want_them(members):
    wanted = {"cookie_name": "mine", "cookie_secure": True, "cookie_same_site": "none", "cookie_domain": "example.com"}
    for mode, kind in (("session", "session"), ("cookie", "refresh_token")):
        settings = changed(members, **{f"{kind}_{name}": value for name, value in wanted.items()})
        async with served(settings) as client:
            (header,) = (await login(client, mode)).headers.get_list("set-cookie")

        parts = header.split("; ")
        assert parts[0].startswith("mine=")
        assert {"Secure", "SameSite=None", "Domain=example.com", "HttpOnly", "Path=/"} < set(parts)


NOT_LET_IN = [
    ("vi@example.com", "wrong"),
    ("vi@example.com", ""),
    ("nobody@example.com", PASSWORD),
    ("sue@example.com", PASSWORD),  # suspended
    ("not an address", PASSWORD),
    ("", ""),
]


async def test_whoever_is_not_let_in_is_told_in_the_field_and_always_the_same(client, members):
    answers = [await login(client, "session", email, password) for email, password in NOT_LET_IN]

    place = {"locations": [{"line": 1, "column": LOGIN.index("auth_login") + 1}], "path": ["auth_login"]}
    error = {"message": "Invalid user credentials.", "extensions": {"code": "INVALID_CREDENTIALS"}, **place}
    for answer in answers:
        assert answer.status_code == 200
        assert answer.json() == {"data": {"auth_login": None}, "errors": [error]}
        assert handed(answer) == []
    assert await count(members, Session) == 0


async def test_where_nobody_signs_in_with_a_password_that_is_told(members):
    async with served(changed(members, auth_disable_default=True)) as client:
        answer = await login(client)

    assert code(answer) == "INVALID_PROVIDER_CONFIG"
    assert answer.json()["errors"][0]["extensions"]["provider"] == "default"


async def test_a_mode_that_there_is_not_is_told(client):
    answer = await login(client, "bogus")

    assert (answer.status_code, code(answer)) == (400, "GRAPHQL_VALIDATION")
    assert "auth_mode" in answer.text


async def test_a_refresh_token_is_good_once(client):
    first = told(await login(client))
    answer = await ask(client, REFRESH, r=first["refresh_token"], m="json")
    second = told(answer)
    again = await ask(client, REFRESH, r=first["refresh_token"])

    assert second["expires"] == "900000"
    assert second["refresh_token"] != first["refresh_token"]
    assert answer.headers["cache-control"] == "no-store"
    assert (again.status_code, again.json()["data"], code(again)) == (
        200,
        {"auth_refresh": None},
        "INVALID_CREDENTIALS",
    )
    assert (await ask(client, ME, headers=bearer(second["access_token"]))).json() == VI
    assert told(await ask(client, REFRESH, r=second["refresh_token"]))["access_token"]


async def test_a_refresh_by_cookie_answers_with_the_next_cookie(client):
    cookie = the_cookie(await login(client, "cookie"))
    answer = await ask(client, REFRESH, cookie, m="cookie")
    tokens, following = told(answer), the_cookie(answer)

    assert (tokens["refresh_token"], tokens["expires"]) == (None, "900000")
    assert (await ask(client, ME, headers=bearer(tokens["access_token"]))).json() == VI
    assert following.keys() == {TO_REFRESH}
    assert code(await ask(client, REFRESH, cookie, m="cookie")) == "INVALID_CREDENTIALS"
    assert told(await ask(client, REFRESH, following, m="cookie"))["access_token"]


async def test_a_refresh_without_a_token_says_what_is_wanted(client):
    answer = await ask(client, REFRESH)

    assert code(answer) == "INVALID_PAYLOAD"
    assert "The refresh token is required in either the payload or cookie" in answer.text


async def test_two_tabs_that_refresh_one_session_at_once_both_stay_signed_in(client, members):
    cookie = the_cookie(await login(client, "session"))
    body, headers = {"query": REFRESH, "variables": {"m": "session"}}, {"Cookie": f"{SESSION}={cookie[SESSION]}"}
    tabs = await asyncio.gather(*(client.post(PATH, json=body, headers=headers) for _ in range(2)))

    assert [told(tab) for tab in tabs] == 2 * [{"access_token": None, "refresh_token": None, "expires": "86400000"}]
    for tab in tabs:
        assert (await ask(client, ME, the_cookie(tab))).json() == VI
    assert await count(members, Session) == 2  # the old one, and one that both go on with


async def test_a_sessions_old_cookie_is_good_for_ten_seconds_more(members):
    late = timedelta(0)
    async with by_the_clock(members, lambda: utc_now() + late) as client:
        old = the_cookie(await login(client, "session"))
        new = the_cookie(await ask(client, REFRESH, old, m="session"))
        late = timedelta(seconds=9)
        assert (await ask(client, ME, old)).json() == VI
        late = timedelta(seconds=11)
        over = await ask(client, ME, old)

        assert (over.status_code, code(over)) == (401, "INVALID_CREDENTIALS")
        assert (await ask(client, ME, new)).json() == VI


async def test_a_cookie_whose_session_is_gone_is_taken_away_so_that_one_can_sign_in_again(client, members):
    cookie = the_cookie(await login(client, "session"))
    async with members.database.transaction() as connection:
        await connection.execute(delete(Session))
    refused = await client.post(PATH, json={"query": ME}, headers={"Cookie": f"{SESSION}={cookie[SESSION]}"})

    assert refused.status_code == 401
    assert the_cookie(refused) == {SESSION: ""}
    assert "Max-Age=0" in refused.headers["set-cookie"]
    shown_besides = {"Cookie": f"{SESSION}={cookie[SESSION]}", **bearer("nobodys")}
    assert handed(await client.post(PATH, json={"query": ME}, headers=shown_besides)) == []


async def test_signing_out_in_json_mode_ends_the_session(client, members):
    tokens = told(await login(client))
    answer = await ask(client, LOGOUT, r=tokens["refresh_token"])

    assert told(answer) is True
    assert handed(answer) == []
    assert await count(members, Session) == 0
    assert code(await ask(client, REFRESH, r=tokens["refresh_token"])) == "INVALID_CREDENTIALS"
    assert told(await ask(client, LOGOUT, r=tokens["refresh_token"])) is True
    assert told(await ask(client, LOGOUT, r="no such token")) is True


async def test_signing_out_by_cookie_ends_the_session_and_takes_the_cookie_away(client, members):
    cookie = the_cookie(await login(client, "cookie"))
    answer = await ask(client, LOGOUT, cookie, m="cookie")

    assert told(answer) is True
    assert the_cookie(answer) == {TO_REFRESH: ""}
    assert await count(members, Session) == 0


@pytest.mark.parametrize("shown", ["old", "new"])
async def test_signing_out_of_a_session_ends_it_at_once_with_what_was_before_and_after_it(client, members, shown):
    old = the_cookie(await login(client, "session"))
    new = the_cookie(await ask(client, REFRESH, old, m="session"))
    answer = await ask(client, LOGOUT, {"old": old, "new": new}[shown], m="session")

    assert told(answer) is True
    assert the_cookie(answer) == {SESSION: ""}
    assert await count(members, Session) == 0
    for cookie in (old, new):
        assert (await ask(client, ME, cookie)).status_code == 401


async def test_who_has_read_hashed_refresh_tokens_can_not_sign_in_with_them(members):
    async with served(changed(members, refresh_token_store="hashed")) as client:
        given = told(await login(client))["refresh_token"]
        async with members.database.transaction() as connection:
            stored = await connection.scalar(select(Session.token))

        assert given not in stored
        for name in (None, TO_REFRESH):
            stolen = {"r": stored} if name is None else {"m": "cookie", "cookies": {name: stored}}
            assert code(await ask(client, REFRESH, **stolen)) == "INVALID_CREDENTIALS"
        following = told(await ask(client, REFRESH, r=given))["refresh_token"]
        assert told(await ask(client, LOGOUT, r=following)) is True
        assert await count(members, Session) == 0


@pytest.mark.parametrize("mode", ["json", "session"])
async def test_whoever_is_suspended_is_not_refreshed(client, members, mode):
    answer = await login(client, mode)
    shown = {"r": told(answer)["refresh_token"]} if mode == "json" else {"cookies": the_cookie(answer)}
    async with members.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(status="suspended"))

    assert code(await ask(client, REFRESH, m=mode, **shown)) == "INVALID_CREDENTIALS"


SHOWN = '(email: "vi@example.com", password: "wrong") { expires }'
TWICE = {
    "aliases": "mutation { " + " ".join(f"a{n}: auth_login{SHOWN}" for n in range(30)) + " }",
    "the same field again": f"mutation {{ auth_login{SHOWN} auth_login{SHOWN} }}",
    "a fragment spread twice": f"mutation {{ ...A ...A }} fragment A on Mutation {{ auth_login{SHOWN} }}",
    "a fragment in a fragment": f"mutation {{ auth_login{SHOWN} ...A }} fragment A on Mutation {{ ...B }} "
    f"fragment B on Mutation {{ b: auth_login{SHOWN} }}",
    "an inline fragment": f"mutation {{ a: auth_login{SHOWN} ... on Mutation {{ b: auth_login{SHOWN} }} }}",
    "one left out": f"mutation {{ a: auth_login{SHOWN} b: auth_login{SHOWN.replace('{', '@skip(if: true) {')} }}",
    "one not included": f"mutation {{ a: auth_login{SHOWN} ... @include(if: false) {{ b: auth_login{SHOWN} }} }}",
    "two of them": f'mutation {{ auth_login{SHOWN} utils_hash_generate(string: "x") }}',
    "something between them": f'mutation {{ auth_login{SHOWN} utils_random_string users_me_tfa_disable(otp: "1") }}',
    "another before it": f'mutation {{ users_register_verify(token: "x") auth_login{SHOWN} }}',
}


@pytest.mark.parametrize("spelled", TWICE)
async def test_one_request_has_one_sensitive_mutation_and_nothing_is_done_of_two(looking, readonly_db, spelled):
    answer = await looking.post(PATH, json={"query": TWICE[spelled]})

    assert (answer.status_code, code(answer)) == (400, "GRAPHQL_VALIDATION")
    assert "One request may have a single one of these mutations" in answer.text
    assert await count(readonly_db, ATTEMPTS) == 0


async def test_what_is_not_run_and_what_is_not_sensitive_does_not_count(client):
    several = f"mutation A {{ auth_login{SHOWN} }} mutation B {{ auth_login{SHOWN} }}"
    one_of_two = await client.post(PATH, json={"query": several, "operationName": "A"})
    with_others = await client.post(
        PATH, json={"query": f"mutation {{ a: utils_random_string auth_login{SHOWN} b: utils_random_string }}"}
    )

    assert code(one_of_two) == code(with_others) == "INVALID_CREDENTIALS"
    assert len(with_others.json()["data"]["b"]) == 32


async def test_what_is_hidden_from_somebody_is_not_told_by_having_it_twice(looking):
    invitation = '(email: "a@example.com", role: "x")'
    answer = await looking.post(
        PATH, json={"query": f"mutation {{ a: users_invite{invitation} b: users_invite{invitation} }}"}
    )

    assert "Cannot query field" in answer.text
    assert "One request" not in answer.text


def remembered():
    """All texts that anything remembers which forgets what wasn't used for longest."""
    gc.unfreeze()  # what was there when the server began is looked through too
    found, seen = set[str](), set[int]()
    waiting: list[object] = [
        thing for thing in gc.get_objects() if isinstance(thing, LRUCache | functools._lru_cache_wrapper)
    ]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(
            thing, type | types.ModuleType | types.FunctionType | types.FrameType | types.CoroutineType | asyncio.Future
        ):
            continue
        seen.add(id(thing))
        if isinstance(thing, str | bytes):
            found.add(thing if isinstance(thing, str) else thing.decode("latin-1"))
        waiting += gc.get_referents(thing)
    return found


PASSING = {
    "literal": 'mutation {{ auth_login(email: "vi@example.com", password: "{0}") {{ expires }} }}',
    "twice": 'mutation {{ auth_login(email: "{0}", password: "{0}") {{ expires }} }}',
    "beside a variable": 'mutation A($e: String = "a") {{ auth_login(email: $e, password: "{0}") {{ expires }} }}',
    "beside what is run": (
        'query A {{ users {{ id }} }} mutation B {{ auth_login(email: "a", password: "{0}") {{ expires }} }}'
    ),
    "beside what is run, with a variable": (
        "query A {{ users {{ id }} }} "
        'mutation B($e: String!) {{ auth_login(email: $e, password: "{0}") {{ expires }} }}'
    ),
    "beside a look at the schema": (
        "query A {{ __schema {{ queryType {{ name }} }} }} "
        'mutation B {{ auth_login(email: "a", password: "{0}") {{ expires }} }}'
    ),
}


@pytest.mark.planning
async def test_no_text_of_a_mutation_is_remembered_with_a_password_in_it(client):
    passwords, kept = {spelled: uuid4().hex for spelled in PASSING}, f"K{uuid4().hex}"
    for _ in range(3):
        for spelled, password in passwords.items():
            text = PASSING[spelled].format(password)
            asked = {"query": text, "operationName": "A" if " A" in text else None}
            assert (await client.post(PATH, json=asked, headers=bearer(static_token("ada")))).status_code == 200
        await client.post(
            PATH, json={"query": f"query {kept} {{ users {{ id }} }}"}, headers=bearer(static_token("ada"))
        )

    texts = remembered()
    assert [spelled for spelled, password in passwords.items() if any(password in text for text in texts)] == []
    assert any(kept in text for text in texts)  # so they would be found


NOTHING = [
    'mutation { users_me_tfa_generate(password: "x") { secret } }',
    'mutation { users_me_tfa_enable(otp: "1", secret: "x") }',
    'mutation { users_me_tfa_disable(otp: "1") }',
    'mutation { users_me_tfa_recovery_codes(otp: "1") }',
    "mutation { users_me_sessions_revoke }",
    "{ users_me_sessions { id } }",
]


@pytest.mark.parametrize("query", NOTHING)
async def test_for_nobody_in_particular_there_is_nothing(looking, query):
    assert told(await ask(looking, query)) is None


async def test_a_random_string_is_as_long_as_one_wants_it(looking):
    asked = "mutation($n: Int) { utils_random_string(length: $n) }"
    for wanted, length in ((None, 32), (1, 1), (500, 500)):
        given = told(await ask(looking, asked, n=wanted))
        assert re.fullmatch(rf"[A-Za-z0-9_-]{{{length}}}", given)
    assert told(await ask(looking, asked)) != told(await ask(looking, asked))
    for wanted in (0, 501, -1):
        assert '\\"length\\" must be between 1 and 500' in (await ask(looking, asked, n=wanted)).text


HASH = "mutation($s: String!) { utils_hash_generate(string: $s) }"
MATCH = "mutation($s: String!, $h: String!) { utils_hash_verify(string: $s, hash: $h) }"
SALTED = "$c29tZSBzYWx0$" + "A" * 43


async def test_a_hash_is_that_of_one_text_only(looking):
    for text in ("hello", "x" * 1024, "with\0nul", "Čapek"):
        made = told(await ask(looking, HASH, s=text))
        assert made.startswith("$argon2id$v=19$m=8,t=1,p=1$")
        assert told(await ask(looking, MATCH, s=text, h=made)) is True
        assert told(await ask(looking, MATCH, s="another", h=made)) is False


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("x", "zzz"),
        ("x", ""),
        ("x", "$2b$12$" + "a" * 53),
        ("x", "$argon2id$v=19$m=65536,t=3,p=4$short"),
        ("x", "$argon2id$v=19$m=65536,t=3,p=4" + SALTED * 20),
        ("x", "$argon2id$v=19$m=4194304,t=3,p=4" + SALTED),  # would take 4 GiB
        ("x", "$argon2id$v=19$m=65536,t=100000,p=4" + SALTED),  # would take an hour
        ("x", "$argon2id$v=19$m=65536,t=3,p=255" + SALTED),
        ("", "$argon2id$v=19$m=65536,t=3,p=4" + SALTED),
        ("x" * 1025, "$argon2id$v=19$m=65536,t=3,p=4" + SALTED),
    ],
)
async def test_what_is_no_hash_or_costs_too_much_is_told_so(looking, text, hashed):
    answer = await ask(looking, MATCH, s=text, h=hashed)

    assert code(answer) == "INVALID_PAYLOAD"
    assert code(await ask(looking, HASH, s="" if hashed == HASHED and not text else "x" * 1025)) == "INVALID_PAYLOAD"


async def test_hashes_of_strangers_keep_nobody_from_signing_in(members):
    assert members.services.utility_hasher is not members.services.passwords
    async with served(changed(members, hash_memory_cost=65536)) as client:
        strangers = [
            asyncio.create_task(client.post(PATH, json={"query": HASH, "variables": {"s": "x"}})) for _ in range(20)
        ]
        await asyncio.sleep(0)
        assert told(await client.post(PATH, json={"query": LOGIN, "variables": {"e": "vi@example.com", "p": PASSWORD}}))
        assert sum(task.done() for task in strangers) < len(strangers)
        await asyncio.gather(*strangers)


async def test_only_an_admin_clears_what_is_remembered_and_then_it_is_found_anew(members):
    asked = "mutation { utils_cache_clear }"
    for who in ("ed", None):
        refused = await members.execute(asked, caller=caller(who))
        assert refused.errors[0].original_error.code == "FORBIDDEN"

    before = await members.directory(caller("ed")).access()
    assert await members.directory(caller("ed")).access() is before
    cleared = await members.execute(asked, caller=caller("ada"))
    after = await members.directory(caller("ed")).access()

    assert (cleared.data, cleared.errors) == ({"utils_cache_clear": None}, None)
    assert after is not before
    assert after.shape is not before.shape  # by which plans are found


@pytest.mark.planning
async def test_what_was_planned_is_planned_anew_once_all_is_cleared(members):
    async def planned():
        directory = members.directory(caller("ada"))
        access = await directory.access()
        ready: Any = schema.plans.find(directory, access, "{ users { id } }", None, None)
        return ready.planned

    before = await planned()
    assert await planned() is before
    await members.execute("mutation { utils_cache_clear }", caller=caller("ada"))
    assert await planned() is not before


ADA = bearer(static_token("ada"))
INVITE = "mutation($e: String!, $r: String!, $u: String) { users_invite(email: $e, role: $r, invite_url: $u) }"


async def test_an_invitation_is_sent_and_revoked_by_whoever_may(client):
    revoke = "mutation($e: String!) { users_invite_revoke(email: $e) }"
    invited = '{ users(filter: { email: { _eq: "new@example.com" } }) { status role { name } } }'

    assert told(await ask(client, INVITE, headers=ADA, e="new@example.com", r=uid("role-Viewer"))) is True
    assert told(await ask(client, invited, headers=ADA)) == [{"status": "invited", "role": {"name": "Viewer"}}]
    assert told(await ask(client, revoke, headers=ADA, e="new@example.com")) is True
    assert told(await ask(client, revoke, headers=ADA, e="new@example.com")) is False
    assert told(await ask(client, invited, headers=ADA)) == []
    elsewhere = await ask(
        client, INVITE, headers=ADA, e="new@example.com", r=uid("role-Viewer"), u="http://x.example.com"
    )
    assert "can't be used to invite users" in elsewhere.text


BY_LINKS = {
    'users_invite_accept(token: "x", password: "y")': "INVALID_TOKEN",
    'users_register(email: "a@example.com", password: "y", first_name: "A")': "FORBIDDEN",
    'users_register_verify(token: "x")': "INVALID_TOKEN",
    'auth_password_reset(token: "x", password: "y")': "INVALID_TOKEN",
    'auth_password_request(email: "vi@example.com", reset_url: "http://x.example.com")': "INVALID_PAYLOAD",
}


async def test_what_goes_by_links_is_told_in_its_field(client):
    for field, expected in BY_LINKS.items():
        answer = await ask(client, f"mutation {{ {field} }}")
        assert (answer.status_code, code(answer)) == (200, expected), field
        assert answer.json()["data"] == {field.partition("(")[0]: None}
    assert told(await ask(client, 'mutation { auth_password_request(email: "vi@example.com") }')) is True
    assert told(await ask(client, 'mutation { auth_password_request(email: "nobody@example.com") }')) is True


@pytest_asyncio.fixture
async def standing(members):
    """A client of a server whose clock stands, so that no code is over while it is typed; and that moment."""
    now = utc_now()
    async with served(changed(members), lambda: now) as client:
        yield client, now


async def test_a_second_factor_is_set_up_and_taken_away(standing):
    client, moment = standing
    me = bearer(told(await login(client))["access_token"])
    generate = "mutation($p: String!) { users_me_tfa_generate(password: $p) { secret otpauth_url } }"
    wrong = await ask(client, generate, headers=me, p="wrong")
    answer = await ask(client, generate, headers=me, p=PASSWORD)
    made = told(answer)

    assert (wrong.status_code, code(wrong)) == (200, "INVALID_CREDENTIALS")
    assert made["otpauth_url"].startswith("otpauth://totp/")
    assert f"secret={made['secret']}" in made["otpauth_url"]
    assert answer.headers["cache-control"] == "no-store"
    enable = "mutation($o: String!, $s: String!) { users_me_tfa_enable(otp: $o, secret: $s) }"
    now = ShortSecretTOTP(made["secret"]).at(moment)
    assert told(await ask(client, enable, headers=me, o=now, s=made["secret"])) is True
    codes = "mutation($o: String!) { users_me_tfa_recovery_codes(otp: $o) }"
    ten = await ask(client, codes, headers=me, o=now)
    assert ten.headers["cache-control"] == "no-store"
    assert len(set(told(ten))) == 10
    disable = "mutation($o: String!) { users_me_tfa_disable(otp: $o) }"
    assert code(await ask(client, disable, headers=me, o="000000")) == "INVALID_PAYLOAD"
    assert told(await ask(client, disable, headers=me, o=told(ten)[0])) is True
    assert told(await login(client))["access_token"]


MINE = "{ users_me_sessions { id ip user_agent origin expires current } }"
HIS = "query($u: ID!) { users_sessions(user: $u) { id current } }"


async def test_one_sees_where_one_is_signed_in_and_signs_out_there(client):
    here = the_cookie(await login(client, "session"))
    there, elsewhere = the_cookie(await login(client, "session")), the_cookie(await login(client, "session"))
    listed = told(await ask(client, MINE, here))
    seen_there = {one["id"]: one["current"] for one in told(await ask(client, MINE, there))}
    end = "mutation($i: ID) { users_me_sessions_revoke(id: $i) }"

    assert len(listed) == 3
    assert [one["current"] for one in listed].count(True) == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", listed[0]["expires"])
    (current,) = (one for one in seen_there if seen_there[one])
    assert told(await ask(client, end, here, i=current)) == 1
    assert (await ask(client, ME, there)).status_code == 401
    assert told(await ask(client, end, here)) == 1
    assert (await ask(client, ME, elsewhere)).status_code == 401
    assert (await ask(client, ME, here)).json() == VI


async def test_an_admin_sees_and_ends_the_sessions_of_anybody(client):
    cookie = the_cookie(await login(client, "session"))
    end = "mutation($u: ID!, $i: ID) { users_sessions_revoke(user: $u, id: $i) }"
    (one,) = told(await ask(client, HIS, headers=ADA, u=uid("vi")))

    assert one["current"] is False
    assert told(await ask(client, end, headers=ADA, u=uid("vi"), i=one["id"])) == 1
    assert (await ask(client, ME, cookie)).status_code == 401
    assert told(await ask(client, HIS, headers=ADA, u=uid("vi"))) == []
    for who in (bearer(static_token("ed")), None):
        refused = await ask(client, HIS, headers=who, u=uid("ed"))
        assert (refused.status_code, code(refused)) == (400, "GRAPHQL_VALIDATION")
