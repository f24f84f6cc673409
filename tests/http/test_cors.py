"""CORS, the headers of every response, and the redirect of the root."""

import re

import pytest
import pytest_asyncio

from app.core.config import ConfigurationError, Settings, load_settings
from tests.http.test_graphql import ADA, ME, PATH, served

APP, OTHER, SIMILAR = "https://app.example.com", "https://evil.example.com", "https://app.example.com.evil.example"
ALLOW_ORIGIN = "access-control-allow-origin"
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}


def with_cors(system, **settings):
    return served(system.settings.model_copy(update={"cors_enabled": True, "cors_origin": (APP,), **settings}))


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with with_cors(readonly_db) as client:
        yield client


@pytest_asyncio.fixture(scope="module")
async def plain(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


def cors_headers(response):
    return {name: value for name, value in response.headers.items() if name.startswith("access-control")}


PATHS = [PATH, "/users", "/users/me", "/auth/login", "/server/ping", "/nowhere", "/utils/cache/clear", "/"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_succeeds_on_every_path(client, path):
    response = await client.options(path, headers={**PREFLIGHT, "Origin": APP})

    assert (response.status_code, response.content) == (204, b"")
    assert cors_headers(response) == {
        ALLOW_ORIGIN: APP,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, POST, PATCH, DELETE, SEARCH",
        "access-control-allow-headers": "Content-Type, Authorization",
        "access-control-max-age": "18000",
    }
    assert "Origin" in response.headers["vary"]


@pytest.mark.parametrize(
    "origin", [OTHER, SIMILAR, "null", "http://app.example.com", APP.upper(), f"{APP}:8443", f"{APP}/"]
)
async def test_other_origins_get_no_cors_headers(client, origin):
    preflight = await client.options("/users", headers={**PREFLIGHT, "Origin": origin})
    response = await client.get("/users?limit=1", headers={**ADA, "Origin": origin})

    assert cors_headers(preflight) == cors_headers(response) == {}
    assert response.status_code == 200
    assert response.headers["vary"] == "Origin"
    assert "Origin" in preflight.headers["vary"]


ERRORS = {
    "an invalid token": ("GET", "/users", {"Authorization": "Bearer wrong"}, {}, 401),
    "no permission": ("GET", "/settings", {}, {}, 403),
    "an unknown path": ("GET", "/nowhere", {}, {}, 404),
    "another method": ("PUT", PATH, {}, {}, 405),
    "a body too large": ("POST", PATH, {}, {"content": b"x" * (1024**2 + 1)}, 400),
    "a body that isn't JSON": ("POST", "/users", ADA, {"content": b"{"}, 400),
}


@pytest.mark.parametrize("case", ERRORS)
async def test_an_error_response_has_cors_headers(client, case):
    method, path, headers, options, status = ERRORS[case]
    response = await client.request(method, path, headers={**headers, "Origin": APP}, **options)

    assert response.status_code == status
    assert response.headers[ALLOW_ORIGIN] == APP
    assert "Origin" in response.headers["vary"]
    assert response.headers["access-control-expose-headers"] == "Content-Disposition, Retry-After, X-Request-Id"


async def test_a_429_has_cors_headers_and_preflights_are_not_counted(readonly_db):
    async with with_cors(readonly_db, rate_limiter_enabled=True, rate_limiter_points=1) as client:
        for _ in range(3):
            assert (await client.options("/users", headers={**PREFLIGHT, "Origin": APP})).status_code == 204
        responses = [await client.get("/server/ping", headers={"Origin": APP}) for _ in range(2)]

    assert [response.status_code for response in responses] == [200, 429]
    assert responses[1].headers[ALLOW_ORIGIN] == APP


async def test_an_unexpected_error_has_cors_headers(readonly_db, monkeypatch):
    async def fail(_):
        raise LookupError

    monkeypatch.setattr("app.flows.server_info.project", fail)
    async with with_cors(readonly_db) as client:
        response = await client.get("/server/info", headers={"Origin": APP})

    assert (response.status_code, response.headers[ALLOW_ORIGIN]) == (500, APP)


async def test_any_origin_means_no_credentials(readonly_db):
    async with with_cors(readonly_db, cors_origin=True) as client:
        preflight = await client.options(PATH, headers={**PREFLIGHT, "Origin": OTHER})
        response = await client.post(PATH, json=ME, headers={**ADA, "Origin": OTHER})

    assert preflight.headers[ALLOW_ORIGIN] == response.headers[ALLOW_ORIGIN] == "*"
    assert "access-control-allow-credentials" not in {**preflight.headers, **response.headers}


@pytest.mark.parametrize("settings", [{"cors_enabled": False}, {"cors_origin": False}, {"cors_origin": ()}])
async def test_without_cors_there_are_no_cors_headers(readonly_db, settings):
    async with with_cors(readonly_db, **settings) as client:
        response = await client.get("/server/ping", headers={"Origin": APP})
        preflight = await client.options("/users", headers={**PREFLIGHT, "Origin": APP})

    assert cors_headers(response) == cors_headers(preflight) == {}
    assert "Origin" not in response.headers["vary"]
    assert preflight.status_code == 200


async def test_an_options_request_without_a_requested_method_is_no_preflight(client):
    response = await client.options("/users", headers={"Origin": APP})

    assert response.headers["allow"] == "POST,GET,HEAD,SEARCH,PATCH,DELETE"
    assert response.headers[ALLOW_ORIGIN] == APP


INVALID_SETTINGS = [
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


@pytest.mark.parametrize(("name", "value"), INVALID_SETTINGS)
def test_an_invalid_setting_is_rejected_at_startup(monkeypatch, tmp_path, name, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUBLIC_URL", "https://users.example.com")
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=re.escape(name)):
        load_settings()


@pytest.mark.parametrize(
    "text", ["true", "false", "https://a.example.com, http://127.0.0.1:3000,http://[::1]:3000, capacitor://localhost"]
)
def test_origins_are_parsed_from_the_setting(text):
    origins = Settings(_env_file=None, cors_origin=text).cors_origin
    assert origins == {"true": True, "false": False}.get(text, tuple(re.split(", ?", text)))


@pytest.mark.parametrize("target", ["./admin", "/app", "https://users.example.com/app"])
async def test_the_root_redirects_as_the_settings_say(readonly_db, target):
    settings = Settings(_env_file=None, public_url="https://users.example.com", root_redirect=target)
    async with served(readonly_db.settings.model_copy(update={"root_redirect": settings.root_redirect})) as client:
        response = await client.get("/")

    assert (response.status_code, response.headers["location"]) == (302, target)
    assert response.text == f"Found. Redirecting to {target}"


async def test_the_root_leads_to_the_studio_by_default(plain):
    response = await plain.get("/")

    assert (response.status_code, response.headers["location"]) == (302, "./admin")


@pytest.mark.parametrize("path", [PATH, "/users", "/server/ping", "/nowhere"])
async def test_a_browser_cannot_execute_any_response(plain, path):
    headers = (await plain.get(path)).headers

    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in headers


async def test_every_response_has_hsts_if_enabled(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"hsts_enabled": True, "hsts_max_age": 60})) as client:
        responses = [await client.get(path) for path in ("/users", "/server/ping", "/nowhere")]

    assert {response.headers["strict-transport-security"] for response in responses} == {"max-age=60"}
