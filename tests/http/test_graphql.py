"""The GraphQL endpoint over HTTP: requests, responses, and errors."""

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
from tests.base_data import caller, static_token, uid
from tests.conftest import run_on_server

PATH = "/graphql/system"
ME = {"query": "{ users_me { id } }"}


@asynccontextmanager
async def served(settings, clock=utc_now, extensions=()):
    app = create_app(settings, clock, extensions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rollcall") as client,
    ):
        yield client


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


ADA = bearer(static_token("ada"))


async def test_a_response_has_data_under_its_keys(client):
    response = await client.post(PATH, json=ME, headers=ADA)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json() == {"data": {"users_me": {"id": uid("ada")}}}


@pytest.mark.parametrize("path", [PATH, f"{PATH}/", f"{PATH}/anything"])
async def test_it_answers_at_its_path_and_below(client, path):
    assert (await client.post(path, json={"query": "{ server_ping }"})).json() == {"data": {"server_ping": "pong"}}


async def test_a_query_may_be_sent_by_get(client):
    query = "query A($id: ID!) { users_by_id(id: $id) { first_name } } query B { server_ping }"
    params = {"query": query, "variables": json.dumps({"id": uid("vi")}), "operationName": "A"}
    response = await client.get(PATH, params=params, headers=ADA)

    assert response.json() == {"data": {"users_by_id": {"first_name": "Vi"}}}


async def test_a_signed_token_names_the_user_and_its_other_claims_are_ignored(client, readonly_db):
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


INVALID_REQUESTS = [
    # request,                                            status, code
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


@pytest.mark.parametrize(("request_", "status", "code"), INVALID_REQUESTS)
async def test_an_invalid_request_gets_a_status_and_a_code(client, request_, status, code):
    response = await client.post(PATH, **request_)

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (status, code)
    assert "Traceback" not in response.text


@pytest.mark.parametrize("name", ["variables", "extensions"])
async def test_parameters_of_a_url_that_must_be_objects_are_checked(client, name):
    for value, reason in (
        ("{", "is not valid JSON"),
        ("[]", "has to be a JSON object"),
        ("1", "has to be a JSON object"),
    ):
        response = await client.get(PATH, params={"query": "{ server_ping }", name: value})
        assert f'"{name}" {reason}' in response.json()["errors"][0]["message"]


JSON, GRAPHQL_JSON = "application/json; charset=utf-8", "application/graphql-response+json; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", JSON),
        ("", JSON),
        ("application/json", JSON),
        ("text/html", JSON),
        ("application/graphql-response+json", GRAPHQL_JSON),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL_JSON),
        ("application/json, application/graphql-response+json;q=0.5", JSON),
        ("application/graphql-response+json;q=0", JSON),
        ("application/graphql-response+json;q=x", JSON),
    ],
)
async def test_graphqls_own_media_type_is_used_if_the_client_prefers_it(client, accept, media):
    success = await client.post(PATH, json={"query": "{ server_ping }"}, headers={"Accept": accept})
    error = await client.post(PATH, json={"query": "{ nothing }"}, headers={"Accept": accept})

    assert (success.status_code, success.headers["content-type"]) == (200, media)
    assert (error.status_code, error.headers["content-type"]) == (400, media)
    assert "Accept" in success.headers["vary"]


async def test_several_operations_without_a_name_are_rejected_by_get_too(client):
    response = await client.get(PATH, params={"query": "query A { server_ping } query B { server_ping }"})

    assert response.status_code == 400
    assert "Must provide operation name" in response.text


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "SEARCH"])
async def test_other_methods_get_the_allowed_ones(client, method):
    response = await client.request(method, PATH)

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("depth", [150, 400])
async def test_a_query_nested_too_deeply_is_rejected(client, depth):
    filter_: dict[str, Any] = {"title": {"_eq": "x"}}
    for level in range(depth):
        filter_ = {"_and": [filter_, filter_] if level < 3 else [filter_]}
    body = {"query": "query($f: directus_users_filter) { users(filter: $f) { id } }", "variables": {"f": filter_}}
    in_variable = await client.post(PATH, content=json.dumps(body), headers={**ADA, "content-type": "application/json"})
    literal = {"query": "{ users(filter: " + "{ _or: [" * depth + "{}" + "] }" * depth + ") { id } }"}
    in_text = await client.post(PATH, json=literal, headers=ADA)

    for response in (in_variable, in_text):
        codes = {error["extensions"]["code"] for error in response.json().get("errors", [])}
        assert codes <= {"INVALID_QUERY", "INVALID_PAYLOAD", "GRAPHQL_VALIDATION"}
        assert "recursion" not in response.text


async def test_an_unexpected_error_is_a_500_without_its_text(writable_db):
    async with writable_db.database.transaction() as connection:
        await connection.execute(text("ALTER TABLE directus_access RENAME TO renamed_access"))
    async with served(writable_db.settings) as client:
        response = await client.post(PATH, json=ME, headers=ADA)

    assert response.status_code == 500
    assert response.json() == {
        "errors": [{"message": "An unexpected error occurred.", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]
    }


async def test_a_mutation_by_get_is_rejected(client):
    response = await client.get(PATH, params={"query": "mutation { x }"})

    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_nul_is_rejected_in_a_search_too(client):
    response = await client.post(PATH, json={"query": '{ users(search: "\\u0000") { id } }'}, headers=ADA)

    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_QUERY"


@pytest.mark.parametrize("text_", ["\x00", "\ud800"])
async def test_characters_that_cannot_be_stored_are_rejected_on_both_databases(client, text_):
    body = {"query": "query($t: String) { users(filter: { title: { _eq: $t } }) { id } }", "variables": {"t": text_}}
    response = await client.post(PATH, content=json.dumps(body), headers={**ADA, "content-type": "application/json"})

    assert response.status_code in (200, 400)
    assert response.json()["errors"][0]["extensions"]["code"] in ("INVALID_QUERY", "INVALID_PAYLOAD")


async def test_a_response_to_an_authenticated_request_may_not_be_stored(client):
    personal = await client.post(PATH, json=ME, headers=ADA)
    public = await client.post(PATH, json={"query": "{ server_ping }"})

    assert personal.headers["cache-control"] == "no-store"
    assert public.headers["cache-control"] == "no-cache"


@pytest.mark.both_databases
async def test_a_suspended_user_gets_a_401_at_the_next_request(writable_db):
    async with served(writable_db.settings) as client:
        before = await client.post(PATH, json=ME, headers=bearer(static_token("sam")))
        async with writable_db.database.transaction() as connection:
            await connection.execute(text("UPDATE directus_users SET status = 'suspended'"))
        after = await client.post(PATH, json=ME, headers=bearer(static_token("sam")))

    assert (before.status_code, after.status_code) == (200, 401)


async def test_a_request_after_a_change_of_rights_takes_two_statements_more(writable_db):
    app = create_app(writable_db.settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rollcall", headers=ADA) as client,
    ):
        reader, taken = app._services.database.reader, []
        for statement in (None, None, "UPDATE directus_policies SET ip_access = '0.0.0.0/0,::/0'", None):
            if statement:
                async with writable_db.database.transaction() as connection:
                    await connection.execute(text(statement))
            before = reader.statements
            response = await client.post(PATH, json=ME)
            taken.append((response.status_code, reader.statements - before))

    # one finds that the rights have changed, and one loads them
    assert taken[1:] == [(200, 1), (200, 3), (200, 1)]


async def test_an_unavailable_database_is_a_503_until_it_recovers(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("an SQLite file is always available")
    name = writable_db.settings.database_url.rpartition("/")[2]
    terminate = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    async with served(writable_db.settings) as client:
        before = await client.post(PATH, json=ME, headers=ADA)
        await run_on_server(terminate)
        restarted = await client.post(PATH, json=ME, headers=ADA)
        await run_on_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", terminate)
        unavailable = await client.post(PATH, json=ME, headers=ADA)
        await run_on_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        recovered = await client.post(PATH, json=ME, headers=ADA)

    assert [response.status_code for response in (before, restarted, unavailable, recovered)] == [200, 200, 503, 200]
    assert unavailable.headers["retry-after"]
    assert name not in unavailable.text


async def test_a_statement_that_takes_too_long_is_canceled(readonly_db):
    settings = readonly_db.settings.model_copy(update={"db_statement_timeout": 0.001})
    async with served(settings) as client:
        query = "{ users { role { users { role { users { role { users { role { users { id } } } } } } } } } }"
        response = await client.post(PATH, json={"query": query}, headers=ADA)

    assert response.status_code in (200, 503)
    if response.status_code == 503:
        assert "s allowed" in response.text or "database is unavailable" in response.text


async def test_callers_do_not_share_cached_access(client):
    body = {"query": "{ users(limit: -1) { id } }"}
    names = ("ada", "sam", "vi", "ada", "sam")
    responses = [await client.post(PATH, json=body, headers=bearer(static_token(name))) for name in names]
    ada, sam, vi, ada_again, sam_again = [response.json() for response in responses]

    assert ada == ada_again
    assert sam == sam_again == {"data": {"users": [{"id": uid("sam")}]}}
    assert vi not in (ada, sam)
    assert caller("ada") != caller("sam")


async def test_a_cached_request_is_executed_with_the_current_permissions(writable_db):
    cached, uncached = {"query": "{ users { id email } }"}, {"query": "{ users { email id } }"}
    async with served(writable_db.settings) as client:
        for _ in range(3):
            response = await client.post(PATH, json=cached, headers=bearer(static_token("ed")))
            assert response.json()["data"]["users"]
        await writable_db.load({"directus_permissions": [{"id": 3, "fields": "id,status,title"}]})
        again = await client.post(PATH, json=cached, headers=bearer(static_token("ed")))
        first = await client.post(PATH, json=uncached, headers=bearer(static_token("ed")))

    assert again.status_code == first.status_code == 400
    assert again.json() == first.json() | {"errors": again.json()["errors"]}
    assert "email" in again.text
