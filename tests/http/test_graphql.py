"""The GraphQL door over HTTP: what goes in, what comes out, and what is said when it can't."""

import json
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from app.core.clock import utc_now
from app.core.tokens import sign_access_token
from app.main import create_app
from tests.conftest import run_on_server
from tests.world import caller, static_token, uid

PATH = "/graphql/system"
ME = {"query": "{ users_me { id } }"}


@asynccontextmanager
async def served(settings, clock=utc_now):
    app = create_app(settings, clock)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rollcall") as client,
    ):
        yield client


@pytest_asyncio.fixture(scope="session")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


ADA = bearer(static_token("ada"))


async def test_an_answer_is_data_under_its_keys(client):
    answer = await client.post(PATH, json=ME, headers=ADA)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {"data": {"users_me": {"id": uid("ada")}}}


@pytest.mark.parametrize("path", [PATH, f"{PATH}/", f"{PATH}/anything"])
async def test_it_answers_at_its_path_and_below(client, path):
    assert (await client.post(path, json={"query": "{ server_ping }"})).json() == {"data": {"server_ping": "pong"}}


async def test_a_query_can_come_by_get(client):
    query = "query A($id: ID!) { users_by_id(id: $id) { first_name } } query B { server_ping }"
    asked = {"query": query, "variables": json.dumps({"id": uid("vi")}), "operationName": "A"}
    answer = await client.get(PATH, params=asked, headers=ADA)

    assert answer.json() == {"data": {"users_by_id": {"first_name": "Vi"}}}


async def test_a_signed_token_is_believed_the_user_and_nothing_else(client, readonly_db):
    secret = readonly_db.settings.secret.get_secret_value()
    ttl = readonly_db.settings.access_token_ttl
    token = sign_access_token(secret, uid("sam"), ttl=ttl, role=uid("role-Administrator"), admin_access=True)
    mine = await client.post(PATH, json={"query": "{ users(limit: -1) { first_name } }"}, headers=bearer(token))
    old = sign_access_token(secret, uid("sam"), ttl=ttl, now=utc_now() - 2 * ttl)
    expired = await client.post(PATH, json=ME, headers=bearer(old))
    cookie = await client.post(PATH, json=ME, headers={"Cookie": f"directus_session_token={token}"})

    assert mine.json() == {"data": {"users": [{"first_name": "Sam"}]}}
    assert (expired.status_code, expired.json()["errors"][0]["extensions"]["code"]) == (401, "TOKEN_EXPIRED")
    assert cookie.json() == {"data": {"users_me": {"id": uid("sam")}}}


REFUSED = [
    # what is sent,                                       status, code
    ({"json": ME, "headers": bearer("nobodys-token")}, 401, "INVALID_CREDENTIALS"),
    ({"json": ME, "headers": bearer("with\x00nul".replace("\x00", "%00"))}, 401, "INVALID_CREDENTIALS"),
    ({"json": {"query": "{ users {"}}, 400, "GRAPHQL_VALIDATION"),
    ({"json": {"query": "{ nothing }"}}, 400, "GRAPHQL_VALIDATION"),
    ({"json": {"query": "mutation { x }"}}, 400, "GRAPHQL_VALIDATION"),
    ({"json": {"query": "subscription { x }"}}, 400, "GRAPHQL_VALIDATION"),
    ({"json": {"query": "query A { server_ping } query B { server_ping }"}}, 400, "GRAPHQL_VALIDATION"),
    ({"json": {"query": "query($x: Int!) { server_ping }", "variables": {"x": 1}}}, 400, "GRAPHQL_VALIDATION"),
    ({"json": [ME]}, 400, "INVALID_PAYLOAD"),
    ({"json": {}}, 400, "INVALID_PAYLOAD"),
    ({"json": {"query": "{ server_ping }", "variables": []}}, 400, "INVALID_PAYLOAD"),
    ({"json": {"query": "{ server_ping }", "extensions": "x"}}, 400, "INVALID_PAYLOAD"),
    ({"json": {"query": "{ server_ping }", "operationName": 1}}, 400, "INVALID_PAYLOAD"),
    ({"json": {"query": 42}}, 400, "INVALID_PAYLOAD"),
    ({"json": {"query": ["{ server_ping }"]}}, 400, "INVALID_PAYLOAD"),
    ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "INVALID_PAYLOAD"),
    ({"content": b"{ server_ping }", "headers": {"content-type": "application/graphql"}}, 400, "INVALID_PAYLOAD"),
    ({"content": b"x" * (1024**2 + 1), "headers": {"content-type": "application/json"}}, 400, "INVALID_PAYLOAD"),
    ({"json": ME, "headers": ADA, "params": {"access_token": "another"}}, 400, "INVALID_PAYLOAD"),
]


@pytest.mark.parametrize(("sent", "status", "code"), REFUSED)
async def test_what_can_not_be_answered_is_told_by_status_and_code(client, sent, status, code):
    answer = await client.post(PATH, **sent)

    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (status, code)
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("name", ["variables", "extensions"])
async def test_what_has_to_be_an_object_in_a_url_is_told_so(client, name):
    for value in ("{", "[]", "1"):
        answer = await client.get(PATH, params={"query": "{ server_ping }", name: value})
        assert f'"{name}" has to be a JSON object' in answer.json()["errors"][0]["message"]


PLAIN, OWN = "application/json; charset=utf-8", "application/graphql-response+json; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", PLAIN),
        ("", PLAIN),
        ("application/json", PLAIN),
        ("text/html", PLAIN),
        ("application/graphql-response+json", OWN),
        ("application/graphql-response+json, application/json;q=0.9", OWN),
        ("application/json, application/graphql-response+json;q=0.5", PLAIN),
        ("application/graphql-response+json;q=0", PLAIN),
        ("application/graphql-response+json;q=x", PLAIN),
    ],
)
async def test_graphqls_own_media_type_is_for_those_who_ask_for_it(client, accept, media):
    good = await client.post(PATH, json={"query": "{ server_ping }"}, headers={"Accept": accept})
    bad = await client.post(PATH, json={"query": "{ nothing }"}, headers={"Accept": accept})

    assert (good.status_code, good.headers["content-type"]) == (200, media)
    assert (bad.status_code, bad.headers["content-type"]) == (400, media)
    assert "Accept" in good.headers["vary"]


async def test_several_operations_without_a_name_are_a_400_by_get_too(client):
    answer = await client.get(PATH, params={"query": "query A { server_ping } query B { server_ping }"})

    assert answer.status_code == 400
    assert "no single operation" in answer.text


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "SEARCH"])
async def test_other_methods_are_told_which_are_right(client, method):
    answer = await client.request(method, PATH)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("deep", [150, 400])
async def test_a_question_nested_too_deeply_is_told_so(client, deep):
    filter_: dict[str, Any] = {"title": {"_eq": "x"}}
    for _ in range(deep):
        filter_ = {"_and": [filter_, filter_] if _ < 3 else [filter_]}
    asked = {"query": "query($f: directus_users_filter) { users(filter: $f) { id } }", "variables": {"f": filter_}}
    answer = await client.post(PATH, content=json.dumps(asked), headers={**ADA, "content-type": "application/json"})
    literal = {"query": "{ users(filter: " + "{ _or: [" * deep + "{}" + "] }" * deep + ") { id } }"}
    spelled = await client.post(PATH, json=literal, headers=ADA)

    for told in (answer, spelled):
        codes = {error["extensions"]["code"] for error in told.json().get("errors", [])}
        assert codes <= {"INVALID_QUERY", "INVALID_PAYLOAD", "GRAPHQL_VALIDATION"}
        assert "recursion" not in told.text


async def test_a_fault_is_a_500_without_its_words(writable_db):
    async with writable_db.database.transaction() as connection:
        await connection.execute(text("DROP TABLE directus_access"))
    async with served(writable_db.settings) as client:
        answer = await client.post(PATH, json=ME, headers=ADA)

    assert answer.status_code == 500
    assert answer.json() == {
        "errors": [{"message": "An unexpected error occurred.", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]
    }


async def test_a_mutation_does_not_come_by_get(client):
    answer = await client.get(PATH, params={"query": "mutation { x }"})

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_characters_no_text_can_hold_are_refused_in_a_search_too(client):
    answer = await client.post(PATH, json={"query": '{ users(search: "\\u0000") { id } }'}, headers=ADA)

    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_QUERY"


@pytest.mark.parametrize("text_", ["\x00", "\ud800"])
async def test_characters_no_database_can_hold_find_nothing_on_either(client, text_):
    asked = {"query": "query($t: String) { users(filter: { title: { _eq: $t } }) { id } }", "variables": {"t": text_}}
    answer = await client.post(PATH, content=json.dumps(asked), headers={**ADA, "content-type": "application/json"})

    assert answer.status_code in (200, 400)
    assert answer.json()["errors"][0]["extensions"]["code"] in ("INVALID_QUERY", "INVALID_PAYLOAD")


async def test_an_answer_that_belongs_to_somebody_stays_out_of_caches(client):
    personal = await client.post(PATH, json=ME, headers=ADA)
    public = await client.post(PATH, json={"query": "{ server_ping }"})

    assert personal.headers["cache-control"] == "no-store"
    assert public.headers["cache-control"] == "no-cache"


async def test_suspending_somebody_is_a_401_at_the_next_request(writable_db):
    async with served(writable_db.settings) as client:
        before = await client.post(PATH, json=ME, headers=bearer(static_token("sam")))
        async with writable_db.database.transaction() as connection:
            await connection.execute(text("UPDATE directus_users SET status = 'suspended'"))
        after = await client.post(PATH, json=ME, headers=bearer(static_token("sam")))

    assert (before.status_code, after.status_code) == (200, 401)


async def test_a_database_that_is_away_is_a_503_and_heals(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("an SQLite file doesn't go away and come back")
    name = writable_db.settings.database_url.rpartition("/")[2]
    gone = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    async with served(writable_db.settings) as client:
        before = await client.post(PATH, json=ME, headers=ADA)
        await run_on_server(gone)
        restarted = await client.post(PATH, json=ME, headers=ADA)
        await run_on_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", gone)
        away = await client.post(PATH, json=ME, headers=ADA)
        await run_on_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        back = await client.post(PATH, json=ME, headers=ADA)

    assert [answer.status_code for answer in (before, restarted, away, back)] == [200, 200, 503, 200]
    assert away.headers["retry-after"]
    assert name not in away.text


async def test_a_statement_that_takes_too_long_is_stopped_and_told(readonly_db):
    slow = readonly_db.settings.model_copy(update={"db_statement_timeout": 0.001})
    async with served(slow) as client:
        deep = "{ users { role { users { role { users { role { users { role { users { id } } } } } } } } } }"
        answer = await client.post(PATH, json={"query": deep}, headers=ADA)

    assert answer.status_code in (200, 503)
    if answer.status_code == 503:
        assert "s allowed" in answer.text or "database is unavailable" in answer.text  # not even to connect


async def test_what_the_callers_claim_is_worth_is_not_remembered_for_another(client):
    answers = [
        (
            await client.post(PATH, json={"query": "{ users(limit: -1) { id } }"}, headers=bearer(static_token(who)))
        ).json()
        for who in ("ada", "sam", "vi", "ada", "sam")
    ]

    assert answers[0] == answers[3]
    assert answers[1] == answers[4] == {"data": {"users": [{"id": uid("sam")}]}}
    assert answers[2] not in (answers[0], answers[1])
    assert caller("ada") != caller("sam")


async def test_what_was_asked_before_is_answered_by_the_rights_of_now(writable_db):
    asked, refused = {"query": "{ users { id email } }"}, {"query": "{ users { email id } }"}
    async with served(writable_db.settings) as client:
        for _ in range(3):
            answer = await client.post(PATH, json=asked, headers=bearer(static_token("ed")))
            assert answer.json()["data"]["users"]
        await writable_db.load({"directus_permissions": [{"id": 3, "fields": "id,status,title"}]})
        again = await client.post(PATH, json=asked, headers=bearer(static_token("ed")))
        never = await client.post(PATH, json=refused, headers=bearer(static_token("ed")))

    assert again.status_code == never.status_code == 400
    assert again.json() == never.json() | {"errors": again.json()["errors"]}
    assert "email" in again.text
