"""What the server tells about itself, by REST and in GraphQL."""

import pytest
from graphql import build_schema

from app.flows.server_info import DIRECTUS_VERSION, PROJECT_FIELDS
from tests.http.test_graphql import ADA, bearer, served
from tests.world import caller, static_token, uid

SPECS = "/server/specs/graphql/system"
SAM = bearer(static_token("sam"))


@pytest.fixture(scope="session")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


async def test_everybody_may_know_the_project_and_nothing_more(client):
    info = (await client.get("/server/info")).json()["data"]

    assert list(info) == ["project"]
    assert set(info["project"]) == set(PROJECT_FIELDS)
    assert DIRECTUS_VERSION not in str(info)


async def test_those_who_are_somebody_may_know_the_limits(client):
    info = (await client.get("/server/info", headers=SAM)).json()["data"]

    assert info["queryLimit"] == {"default": 100, "max": -1}
    assert info["version"] == DIRECTUS_VERSION
    assert (info["setupCompleted"], info["mcp_enabled"], info["ai_enabled"]) == (True, False, False)


async def test_the_same_is_told_in_graphql(readonly_db):
    limits = "{ server_info { most: queryLimit { max default } websocket project { name: project_name } } }"
    somebody = await readonly_db.execute(limits, caller=caller("sam"))
    nobody = await readonly_db.execute(limits)
    project = await readonly_db.execute("{ server_info { project { project_name public_registration } } }")

    assert somebody.data["server_info"] == {
        "most": {"max": -1, "default": 100},
        "websocket": False,
        "project": {"name": "Directus"},
    }
    assert "Cannot query field 'queryLimit'" in nobody.errors[0].message
    assert project.data == {"server_info": {"project": {"project_name": "Directus", "public_registration": False}}}


async def test_health_asks_the_database_and_tells_admins_how_long_it_took(client, readonly_db):
    asked = readonly_db.database.reader.statements
    nobody, admin = await client.get("/server/health"), await client.get("/server/health", headers=ADA)
    here = await readonly_db.execute("{ server_health }", caller=caller("ada"))

    assert nobody.json() == {"status": "ok"}
    assert nobody.headers["content-type"] == "application/health+json; charset=utf-8"
    assert admin.json()["checks"][f"{readonly_db.database.dialect}:responseTime"][0]["observedValue"] > 0
    assert here.data["server_health"]["status"] == "ok"
    assert readonly_db.database.reader.statements > asked


async def test_a_database_that_is_away_makes_the_server_ill(writable_db):
    async with served(writable_db.settings.model_copy(update={"database_url": nowhere(writable_db)})) as client:
        answer = await client.get("/server/health")
        ping = await client.get("/server/ping")

    assert (answer.status_code, answer.json()) == (503, {"status": "error"})
    assert ping.text == "pong"


def nowhere(system):
    if system.database.dialect == "sqlite":
        pytest.skip("an SQLite file is made where it is missing")
    return "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"


async def test_the_schema_is_told_to_each_caller_as_it_sees_it(client, readonly_db):
    ada = await client.get(SPECS, headers=ADA)
    sam = await client.get(SPECS, headers=SAM)
    nobody = await client.get(SPECS)
    inside = await readonly_db.execute("{ server_specs_graphql(scope: system) }", caller=caller("sam"))

    assert ada.headers["content-disposition"] == 'attachment; filename="rollcall.graphql"'
    assert "directus_policies" in build_schema(ada.text).type_map
    assert "directus_users" in build_schema(sam.text).type_map
    assert "directus_policies" not in sam.text
    assert "directus_users" not in nobody.text
    assert inside.data["server_specs_graphql"] == sam.text


async def test_there_is_no_schema_of_items(client, readonly_db):
    result = await readonly_db.execute("{ server_specs_graphql(scope: items) }", caller=caller("ada"))

    assert result.errors[0].original_error.code == "INVALID_QUERY"
    assert (await client.get("/server/specs/graphql")).status_code == 404


async def test_closed_introspection_closes_the_schema_too(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"graphql_introspection": False})) as client:
        answer = await client.get(SPECS, headers=ADA)
        asked = await client.post("/graphql/system", json={"query": "{ server_specs_graphql }"}, headers=ADA)

    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (404, "ROUTE_NOT_FOUND")
    assert "Cannot query field" in asked.text


@pytest.mark.parametrize("path", ["/server/info", "/server/health", SPECS, "/server/specs/oas"])
async def test_a_bad_token_is_refused_at_these_doors_too(client, path):
    answer = await client.get(path, headers=bearer("nobodys-token"))

    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/Users", "/USERS/", "/users//", "/Users/ME", "/users/{SAM}/", "/Roles/Me"])
async def test_a_path_may_be_written_in_capitals_and_end_in_a_slash(client, path):
    answer = await client.get(path.replace("{SAM}", uid("sam").upper()), headers=ADA)

    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/Server/Ping", "/server/ping/", "/SERVER/INFO", "/Auth", "/Utils/Random/String/"])
async def test_so_may_the_paths_of_everybody(client, path):
    assert (await client.get(path)).status_code == 200


async def test_graphql_has_such_paths_too(client):
    answer = await client.post("/GraphQL/System/", json={"query": "{ server_ping }"})

    assert answer.json() == {"data": {"server_ping": "pong"}}


async def test_what_isnt_there_is_named_as_it_was_asked_for(client):
    assert (await client.get("/NoWhere/At/All")).json()["errors"][0]["extensions"]["path"] == "/NoWhere/At/All"
