"""Pages of other origins, what every answer bears, and where the root leads."""

import re

import pytest
import pytest_asyncio

from app.core.config import ConfigurationError, Settings, load_settings
from tests.http.test_graphql import ADA, ME, PATH, served

APP, OTHER, NEAR = "https://app.example.com", "https://evil.example.com", "https://app.example.com.evil.example"
ALLOW = "access-control-allow-origin"
BEFORE = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}


def with_cors(system, **changed):
    return served(system.settings.model_copy(update={"cors_enabled": True, "cors_origin": (APP,), **changed}))


@pytest_asyncio.fixture(scope="session")
async def client(readonly_db):
    async with with_cors(readonly_db) as client:
        yield client


@pytest_asyncio.fixture(scope="session")
async def plain(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


def said(answer):
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control")}


PATHS = [PATH, "/users", "/users/me", "/auth/login", "/server/ping", "/nowhere", "/utils/cache/clear", "/"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_browser_may_ask_beforehand_whatever_the_path(client, path):
    answer = await client.options(path, headers={**BEFORE, "Origin": APP})

    assert (answer.status_code, answer.content) == (204, b"")
    assert said(answer) == {
        ALLOW: APP,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, POST, PATCH, DELETE, SEARCH",
        "access-control-allow-headers": "Content-Type, Authorization",
        "access-control-max-age": "18000",
    }
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin", [OTHER, NEAR, "null", "http://app.example.com", APP.upper(), f"{APP}:8443", f"{APP}/"]
)
async def test_no_other_origin_is_told_anything(client, origin):
    before = await client.options("/users", headers={**BEFORE, "Origin": origin})
    answer = await client.get("/users?limit=1", headers={**ADA, "Origin": origin})

    assert said(before) == said(answer) == {}
    assert answer.status_code == 200
    assert answer.headers["vary"] == "Origin"
    assert "Origin" in before.headers["vary"]


ERRORS = {
    "a bad token": ("GET", "/users", {"Authorization": "Bearer wrong"}, {}, 401),
    "no right": ("GET", "/settings", {}, {}, 403),
    "nothing there": ("GET", "/nowhere", {}, {}, 404),
    "another method": ("PUT", PATH, {}, {}, 405),
    "a body too large": ("POST", PATH, {}, {"content": b"x" * (1024**2 + 1)}, 400),
    "a body that isn't JSON": ("POST", "/users", ADA, {"content": b"{"}, 400),
}


@pytest.mark.parametrize("case", ERRORS)
async def test_an_error_may_be_read_by_the_page_that_made_it(client, case):
    method, path, headers, more, status = ERRORS[case]
    answer = await client.request(method, path, headers={**headers, "Origin": APP}, **more)

    assert answer.status_code == status
    assert answer.headers[ALLOW] == APP
    assert "Origin" in answer.headers["vary"]
    assert answer.headers["access-control-expose-headers"] == "Content-Disposition, Retry-After, X-Request-Id"


async def test_one_request_too_many_may_be_read_too_and_asking_beforehand_costs_none(readonly_db):
    async with with_cors(readonly_db, rate_limiter_enabled=True, rate_limiter_points=1) as client:
        for _ in range(3):
            assert (await client.options("/users", headers={**BEFORE, "Origin": APP})).status_code == 204
        answers = [await client.get("/server/ping", headers={"Origin": APP}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers[ALLOW] == APP


async def test_a_fault_of_ours_may_be_read_too(readonly_db, monkeypatch):
    async def fail(_):
        raise LookupError

    monkeypatch.setattr("app.flows.server_info.project", fail)
    async with with_cors(readonly_db) as client:
        answer = await client.get("/server/info", headers={"Origin": APP})

    assert (answer.status_code, answer.headers[ALLOW]) == (500, APP)


async def test_where_every_origin_may_ask_none_may_send_cookies(readonly_db):
    async with with_cors(readonly_db, cors_origin=True) as client:
        before = await client.options(PATH, headers={**BEFORE, "Origin": OTHER})
        answer = await client.post(PATH, json=ME, headers={**ADA, "Origin": OTHER})

    assert before.headers[ALLOW] == answer.headers[ALLOW] == "*"
    assert "access-control-allow-credentials" not in {**before.headers, **answer.headers}


@pytest.mark.parametrize("changed", [{"cors_enabled": False}, {"cors_origin": False}, {"cors_origin": ()}])
async def test_unless_it_is_wanted_nothing_is_said_of_origins(readonly_db, changed):
    async with with_cors(readonly_db, **changed) as client:
        answer = await client.get("/server/ping", headers={"Origin": APP})
        before = await client.options("/users", headers={**BEFORE, "Origin": APP})

    assert said(answer) == said(before) == {}
    assert "Origin" not in answer.headers["vary"]
    assert before.status_code == 200


async def test_asking_beforehand_takes_a_method_to_ask_about(client):
    answer = await client.options("/users", headers={"Origin": APP})

    assert answer.headers["allow"] == "POST,GET,HEAD,SEARCH,PATCH,DELETE"
    assert answer.headers[ALLOW] == APP


BAD = [
    ("CORS_ORIGIN", "*"),
    ("CORS_ORIGIN", "null"),
    ("CORS_ORIGIN", "https://app.example.com/"),
    ("CORS_ORIGIN", "https://*.example.com"),
    ("CORS_ORIGIN", "app.example.com"),
    ("CORS_MAX_AGE", "-1"),
    ("ROOT_REDIRECT", "/"),
    ("ROOT_REDIRECT", "//evil.example.com"),
    ("ROOT_REDIRECT", "/\\evil.example.com"),
    ("ROOT_REDIRECT", "https://evil.example.com"),
    ("ROOT_REDIRECT", "https://users.example.com.evil.example/"),
    ("ROOT_REDIRECT", "https://users.example.com@evil.example/"),
    ("ROOT_REDIRECT", "javascript:alert(1)"),
    ("ROOT_REDIRECT", "./admin\r\nX: y"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_place_or_an_origin_that_isnt_one_is_refused_at_the_start(monkeypatch, tmp_path, name, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUBLIC_URL", "https://users.example.com")
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=re.escape(name)):
        load_settings()


@pytest.mark.parametrize(
    "text", ["true", "false", "https://a.example.com, http://127.0.0.1:3000,http://[::1]:3000, capacitor://localhost"]
)
def test_origins_are_read_as_they_are_written(text):
    origins = Settings(_env_file=None, cors_origin=text).cors_origin
    assert origins == {"true": True, "false": False}.get(text, tuple(re.split(", ?", text)))


@pytest.mark.parametrize("place", ["./admin", "/app", "https://users.example.com/app"])
async def test_the_root_leads_where_the_settings_say(readonly_db, place):
    settings = Settings(_env_file=None, public_url="https://users.example.com", root_redirect=place)
    async with served(readonly_db.settings.model_copy(update={"root_redirect": settings.root_redirect})) as client:
        answer = await client.get("/")

    assert (answer.status_code, answer.headers["location"]) == (302, place)
    assert answer.text == f"Found. Redirecting to {place}"


async def test_the_root_leads_nowhere_unless_they_do(plain):
    assert (await plain.get("/")).status_code == 404


@pytest.mark.parametrize("path", [PATH, "/users", "/server/ping", "/nowhere"])
async def test_what_a_browser_takes_for_a_page_can_do_nothing(plain, path):
    headers = (await plain.get(path)).headers

    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in headers


async def test_browsers_are_told_to_come_by_https_where_that_is_wanted(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"hsts_enabled": True, "hsts_max_age": 60})) as client:
        told = [await client.get(path) for path in ("/users", "/server/ping", "/nowhere")]

    assert {answer.headers["strict-transport-security"] for answer in told} == {"max-age=60"}
