"""The endpoints about the server itself, in REST and GraphQL."""

import pytest
from graphql import build_schema

from app.flows.server_info import DIRECTUS_VERSION, PROJECT_FIELDS
from tests.base_data import caller, static_token, uid
from tests.http.test_graphql import ADA, bearer, served

SPECS = "/server/specs/graphql/system"
HEALTHY = ({"status": "ok"}, {"status": "warn"})  # a slow answer of a busy machine is a warning
SAM = bearer(static_token("sam"))


@pytest.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


async def test_anonymous_callers_get_the_project_and_nothing_more(client):
    info = (await client.get("/server/info")).json()["data"]

    assert list(info) == ["project", "setupCompleted"]
    assert info["setupCompleted"] is True
    assert (info["project"]["project_color"], info["project"]["default_language"]) == ("#6644FF", "en-US")
    assert set(info["project"]) == set(PROJECT_FIELDS)
    assert DIRECTUS_VERSION not in str(info)


async def test_authenticated_callers_get_the_limits(client):
    info = (await client.get("/server/info", headers=SAM)).json()["data"]

    assert info["queryLimit"] == {"default": 100, "max": -1}
    assert info["version"] == DIRECTUS_VERSION
    assert (info["setupCompleted"], info["mcp_enabled"], info["ai_enabled"]) == (True, False, False)


async def test_graphql_returns_the_same(readonly_db):
    limits = "{ server_info { limits: queryLimit { max default } websocket project { name: project_name } } }"
    authenticated = await readonly_db.execute(limits, caller=caller("sam"))
    anonymous = await readonly_db.execute(limits)
    project = await readonly_db.execute("{ server_info { project { project_name public_registration } } }")

    assert authenticated.data["server_info"] == {
        "limits": {"max": -1, "default": 100},
        "websocket": False,
        "project": {"name": "Directus"},
    }
    assert "Cannot query field 'queryLimit'" in anonymous.errors[0].message
    assert project.data == {"server_info": {"project": {"project_name": "Directus", "public_registration": False}}}


MODES = {"authentication": "strict", "path": "/websocket"}
WEBSOCKET = "{ server_info { websocket { rest { authentication path } graphql { authentication path } heartbeat } } }"


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("settings", "query", "expected"),
    [
        ({}, "{ server_info { websocket } }", False),
        (
            {"websockets_enabled": True, "websockets_rest_auth": "strict"},
            WEBSOCKET,
            {"rest": MODES, "graphql": {"authentication": "handshake", "path": "/graphql/system"}, "heartbeat": 30},
        ),
        (
            {"websockets_enabled": True, "websockets_graphql_enabled": False, "websockets_rest_auth": "strict"},
            "{ server_info { websocket { rest { authentication path } graphql heartbeat } } }",
            {"rest": MODES, "graphql": False, "heartbeat": 30},
        ),
        (
            {"websockets_enabled": True, "websockets_rest_enabled": False, "websockets_heartbeat_enabled": False},
            "{ server_info { websocket { rest graphql { authentication path } heartbeat } } }",
            {
                "rest": False,
                "graphql": {"authentication": "handshake", "path": "/graphql/system"},
                "heartbeat": False,
            },
        ),
    ],
    ids=["disabled", "enabled", "without GraphQL", "without REST"],
)
async def test_authenticated_callers_get_how_they_connect_to_realtime(readonly_db, settings, query, expected):
    """As recorded of a Directus: an object of what is enabled, and false for the rest."""
    async with served(readonly_db.settings.model_copy(update=settings)) as client:
        rest = (await client.get("/server/info", headers=SAM)).json()["data"]
        graphql = (await client.post("/graphql/system", json={"query": query}, headers=SAM)).json()
        anonymous = (await client.post("/graphql/system", json={"query": query})).json()
        sdl = (await client.get("/server/specs/graphql/system", headers=SAM)).text

    assert rest["websocket"] == expected
    assert graphql == {"data": {"server_info": {"websocket": expected}}}
    assert "Cannot query field 'websocket'" in anonymous["errors"][0]["extensions"]["errors"][0]["message"]
    assert ("websocket: server_info_websocket\n" if expected else "websocket: Boolean\n") in sdl
    assert ("enum server_info_websocket_graphql_authentication" in sdl) == bool(expected and expected["graphql"])


async def test_health_queries_the_database_and_shows_admins_the_response_time(client, readonly_db):
    statements = readonly_db.database.reader.statements
    anonymous, admin = await client.get("/server/health"), await client.get("/server/health", headers=ADA)
    in_graphql = await readonly_db.execute("{ server_health }", caller=caller("ada"))

    assert anonymous.json() in HEALTHY
    assert anonymous.headers["content-type"] == "application/health+json; charset=utf-8"
    assert admin.json()["checks"][f"{readonly_db.database.dialect}:responseTime"][0]["observedValue"] > 0
    assert in_graphql.data["server_health"]["status"] in ("ok", "warn")
    assert readonly_db.database.reader.statements > statements


async def test_an_unavailable_database_makes_the_server_unhealthy(restored_db):
    async with served(restored_db.settings.model_copy(update={"database_url": unreachable_url(restored_db)})) as client:
        response = await client.get("/server/health")
        ping = await client.get("/server/ping")

    assert (response.status_code, response.json()) == (503, {"status": "error"})
    assert ping.text == "pong"


def unreachable_url(system):
    if system.database.dialect == "sqlite":
        pytest.skip("a missing SQLite file is created")
    return "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"


async def test_each_caller_gets_its_own_schema(client, readonly_db):
    ada = await client.get(SPECS, headers=ADA)
    sam = await client.get(SPECS, headers=SAM)
    anonymous = await client.get(SPECS)
    without_scope = await client.get("/server/specs/graphql", headers=SAM)
    in_graphql = await readonly_db.execute("{ server_specs_graphql(scope: system) }", caller=caller("sam"))

    assert ada.headers["content-disposition"] == 'attachment; filename="rollcall.graphql"'
    assert "directus_policies" in build_schema(ada.text).type_map
    assert "directus_users" in build_schema(sam.text).type_map
    assert "directus_policies" not in sam.text
    assert "directus_users" not in anonymous.text
    assert in_graphql.data["server_specs_graphql"] == without_scope.text == sam.text


async def test_there_is_no_schema_of_items(client, readonly_db):
    result = await readonly_db.execute("{ server_specs_graphql(scope: items) }", caller=caller("ada"))

    assert result.errors[0].original_error.code == "INVALID_QUERY"
    assert (await client.get("/server/specs/graphql/items")).status_code == 404


async def test_disabling_introspection_disables_the_sdl_too(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"graphql_introspection": False})) as client:
        response = await client.get(SPECS, headers=ADA)
        in_graphql = await client.post("/graphql/system", json={"query": "{ server_specs_graphql }"}, headers=ADA)

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (404, "ROUTE_NOT_FOUND")
    assert "Cannot query field" in in_graphql.text


async def test_search_engines_are_kept_away(client):
    response = await client.get("/robots.txt")

    assert (response.status_code, response.text) == (200, "User-agent: *\nDisallow: /")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await client.post("/robots.txt")).status_code == 405


@pytest.mark.parametrize("path", ["/server/info", "/server/health", SPECS, "/server/specs/oas"])
async def test_an_invalid_token_is_rejected_by_these_endpoints_too(client, path):
    response = await client.get(path, headers=bearer("nobodys-token"))

    assert response.status_code == 401


@pytest.mark.parametrize("path", ["/Users", "/USERS/", "/users//", "/Users/ME", "/users/{SAM}/", "/Roles/Me"])
async def test_a_path_may_have_capitals_and_a_trailing_slash(client, path):
    response = await client.get(path.replace("{SAM}", uid("sam").upper()), headers=ADA)

    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/Server/Ping", "/server/ping/", "/SERVER/INFO", "/Auth", "/Utils/Random/String/"])
async def test_public_paths_may_have_capitals_and_a_trailing_slash(client, path):
    assert (await client.get(path)).status_code == 200


async def test_the_graphql_path_may_have_capitals_and_a_trailing_slash(client):
    response = await client.post("/GraphQL/System/", json={"query": "{ server_ping }"})

    assert response.json() == {"data": {"server_ping": "pong"}}


async def test_a_404_names_the_path_as_requested(client):
    assert (await client.get("/NoWhere/At/All")).json()["errors"][0]["extensions"]["path"] == "/NoWhere/At/All"
