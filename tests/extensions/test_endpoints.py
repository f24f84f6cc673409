"""Endpoints of extensions over HTTP: rights, results, errors, and the middleware that they share with all others."""

from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from app.core.tokens import sign_access_token
from app.extensions.contents import OWN_ROOTS, OwnNames
from app.http import middleware
from app.main import create_app
from app.query.collection import BUILT_IN
from tests.base_data import BASE_ROWS, static_token, uid
from tests.extensions import endpoints
from tests.http.clients import FORBIDDEN, INVALID_CREDENTIALS, ROUTE_NOT_FOUND, SESSION, error_of, reason_of, send
from tests.http.test_graphql import ADA, bearer, served
from tests.logs import captured_logs

APP = "https://app.example.com"
SOURCE = Path(endpoints.__file__).read_bytes()
EXTENSIONS = (endpoints.__name__,)


def settings_of(system, **changes):
    return system.settings.model_copy(update={"extensions": EXTENSIONS, **changes})


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(settings_of(readonly_db)) as client:
        yield client


async def test_an_endpoint_reads_with_the_rights_of_its_caller(client):
    ed = await client.get("/probe/emails", headers=bearer(static_token("ed")))
    ada = await client.get("/probe/emails", headers=ADA)

    assert {"email": "sue@example.com"} in ada.json()
    assert {"email": "sue@example.com"} not in ed.json()
    assert ed.headers["content-type"] == "application/json; charset=utf-8"
    assert ed.headers["cache-control"] == "no-store"
    assert error_of(await client.get("/probe/emails", headers=bearer(static_token("kit")))) == FORBIDDEN


async def test_an_endpoint_can_act_as_the_system(client):
    assert (await client.get("/probe/count")).json() == {"all": len(BASE_ROWS["directus_users"])}


async def test_writes_of_the_system_name_the_caller_in_the_audit_log(writable_db):
    query = {"filter": {"item": {"_eq": uid("vi")}}, "fields": ["user", "ip", "user_agent"]}
    async with served(settings_of(writable_db)) as client:
        headers = {**bearer(static_token("ed")), "user-agent": "probe"}
        response = await client.patch("/probe/title", json={"id": uid("vi"), "title": "Queen"}, headers=headers)
        assert response.json() == uid("vi")
    ada = await writable_db.as_user("ada@example.com")

    assert (await ada["users"].read_one(uid("vi"), {"fields": ["title"]})) == {"title": "Queen"}
    assert await ada["activity"].read_by_query(query) == [{"user": uid("ed"), "ip": "127.0.0.1", "user_agent": "probe"}]


@pytest.mark.parametrize("path", ["/probe/items/7/Straße", "/PROBE/Items/7/Straße/"])
async def test_fixed_segments_match_in_any_case_and_parameters_keep_theirs(client, path):
    response = await client.get(path, params={"a": "1"})

    assert response.json() == {"path": {"number": 7, "name": "Straße"}, "query": {"a": "1"}, "as_sent": path}


@pytest.mark.parametrize("path", ["/probe/items/x/y", "/probe/other", "/probes", "/probe/items/7/a/b"])
async def test_other_paths_do_not_exist(client, path):
    response = await client.get(path)

    assert error_of(response) == ROUTE_NOT_FOUND
    assert response.json()["errors"][0]["extensions"]["path"] == path


async def test_other_methods_are_not_allowed(client):
    response = await client.delete("/probe")

    assert (response.status_code, response.headers["allow"]) == (405, "POST, PATCH")


async def test_head_is_get_without_a_body(client):
    response = await client.head("/probe/nothing")

    assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "4")


async def test_data_is_sent_as_json_as_it_is(client):
    assert (await client.get("/probe/nothing")).content == b"null"
    assert (await client.post("/probe", json={"a": [1, None]})).content == b'{"a":[1,null]}'


async def test_errors_have_the_usual_form(client):
    response = await client.get("/probe/unprocessable")

    assert response.status_code == 422
    assert response.json()["errors"] == [
        {
            "message": "Can't process content. The moon is not full.",
            "extensions": {"reason": "The moon is not full", "code": "UNPROCESSABLE_CONTENT"},
        }
    ]
    assert error_of(await client.get("/probe/forbidden")) == FORBIDDEN


@pytest.mark.parametrize("path", ["/probe/broken", "/probe/unserializable"])
async def test_any_other_exception_is_a_500_without_its_text(client, path):
    with captured_logs(middleware) as entries:
        response = await client.get(path)

    assert error_of(response) == (500, "INTERNAL_SERVER_ERROR")
    assert "secret" not in response.text
    assert "request_failed" in [entry["event"] for entry in entries]


async def test_a_response_is_sent_as_it_is_but_for_the_headers_of_the_server(client):
    response = await client.get("/probe/teapot")

    assert (response.status_code, response.json(), response.headers["x-tea"]) == (418, {"tea": True}, "green")
    assert response.headers.get_list("cache-control") == ["no-cache"]
    assert response.headers.get_list("vary") == ["Authorization, Cookie, Tea"]
    assert response.headers.get_list("content-length") == ["12"]
    assert [cookie.partition(";")[0] for cookie in response.headers.get_list("set-cookie")] == ["tea=1", "pot=2"]


async def test_pages_redirects_streams_and_files_are_sent(client):
    page, moved = await client.get("/probe/page"), await client.get("/probe/moved")
    endpoints.DONE.clear()
    stream, file = await client.get("/probe/stream"), await client.get("/probe/file")

    assert (page.text, page.headers["content-type"]) == ("<p>hello</p>", "text/html; charset=utf-8")
    assert page.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert (moved.status_code, moved.headers["location"]) == (307, "/server/ping")
    assert "default-src 'none'" in moved.headers["content-security-policy"]
    assert (stream.text, endpoints.DONE) == ("0;1;2;", ["stream"])
    assert file.content == SOURCE


async def test_bodies_have_the_limits_of_the_server(readonly_db):
    async with served(settings_of(readonly_db, max_payload_size=200, max_payload_values=5)) as client:
        assert "larger than the 200 bytes" in reason_of(await client.post("/probe", json="x" * 201))
        assert "at most 5 values" in reason_of(await client.post("/probe", json=[1] * 20))
        assert "not valid JSON" in reason_of(
            await client.post("/probe", content=b"{", headers={"content-type": "application/json"})
        )
        assert "Content-Type" in reason_of(await client.post("/probe", content=b"{}"))


async def test_forms_are_read_and_malformed_ones_rejected(client):
    response = await client.post("/probe/form", data={"a": "1"}, files={"f": ("f.txt", b"content")})
    malformed = await client.post("/probe/form", content=b"x", headers={"content-type": "multipart/form-data"})

    assert response.json() == {"a": "1", "f": "content"}
    assert error_of(malformed) == (400, "INVALID_PAYLOAD")


@pytest.mark.parametrize("token", ["unknown", static_token("sue")])
async def test_invalid_credentials_never_reach_the_function(client, token):
    assert error_of(await client.get("/probe/count", headers=bearer(token))) == INVALID_CREDENTIALS


async def test_callers_that_must_set_up_two_factor_authentication_never_reach_the_function(client, readonly_db):
    token = sign_access_token(
        readonly_db.settings.secret.get_secret_value(),
        uid("ada"),
        tfa_setup_required=True,
        ttl=timedelta(minutes=1),
    )
    response = await client.get("/probe/nothing", headers=bearer(token))

    assert "Two-factor authentication has to be set up" in response.text


async def test_rate_limits_and_cors_apply(readonly_db):
    changes = {"rate_limiter_enabled": True, "rate_limiter_points": 2, "rate_limiter_duration": 60}
    cors = {"cors_enabled": True, "cors_origin": (APP,)}
    async with served(settings_of(readonly_db, **changes, **cors)) as client:
        preflight = await client.options("/probe", headers={"Origin": APP, "Access-Control-Request-Method": "POST"})
        responses = [await client.get("/probe/nothing", headers={"Origin": APP}) for _ in range(3)]

    assert preflight.status_code == 204
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert {response.headers["access-control-allow-origin"] for response in responses} == {APP}


async def test_pages_of_other_origins_cannot_use_the_cookie(client):
    cookies, form = {SESSION: static_token("ada")}, {"data": {"a": "1"}}
    evil = await send(client, "POST", "/probe/form", None, cookies, {"Origin": "https://evil.example.com"}, **form)
    own = await send(client, "POST", "/probe/form", None, cookies, {"Origin": "http://rollcall"}, **form)

    assert (error_of(evil), own.json()) == (FORBIDDEN, {"a": "1"})


async def test_requests_are_logged(client):
    with captured_logs(middleware) as entries:
        await client.get("/probe/nothing")

    assert [(entry["path"], entry["status"]) for entry in entries if entry["event"] == "request"] == [
        ("/probe/nothing", 200)
    ]


async def test_without_extensions_the_paths_do_not_exist(readonly_db):
    async with served(readonly_db.settings) as plain:
        assert error_of(await plain.get("/probe/nothing")) == ROUTE_NOT_FOUND


def test_every_path_of_the_server_is_reserved(readonly_db):
    settings = readonly_db.settings.model_copy(update={"root_redirect": "/admin", "secret": SecretStr("x" * 32)})
    roots = {path.split("/")[1] for path in create_app(settings).endpoints} - {""}

    assert roots <= OwnNames.from_collections(BUILT_IN.values()).roots
    assert OWN_ROOTS - roots == {"shares"}
