"""Probes: whether a process answers, whether it should get requests, and whether what it depends on responds."""

import asyncio

import httpx

from app.main import create_app
from tests.http.test_graphql import ADA, served
from tests.http.test_server import unreachable_url

READY = {"status": "ready"}


async def test_a_process_with_its_database_is_live_and_ready(readonly_db):
    async with served(readonly_db.settings) as client:
        live, ready = await client.get("/server/live"), await client.get("/server/ready")

    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, READY)
    assert ready.headers["cache-control"] == "no-store"


async def test_a_process_is_live_but_not_ready_before_it_has_started_and_while_it_drains(readonly_db):
    app = create_app(readonly_db.settings)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://rollcall") as client:
        starting = [await client.get(f"/server/{probe}") for probe in ("live", "ready")]
        async with app.router.lifespan_context(app):
            started = await client.get("/server/ready")
            app.drain()
            draining = [await client.get(f"/server/{probe}") for probe in ("live", "ready")]
            answered = await client.get("/users/me", headers=ADA)

    assert [response.status_code for response in (*starting, started, *draining)] == [200, 503, 200, 200, 503]
    states = [response.json()["status"] for response in (*starting, *draining)]
    assert states == ["live", "starting", "live", "draining"]
    assert (answered.status_code, answered.headers["connection"]) == (200, "close")
    assert "connection" not in started.headers


async def test_a_process_without_its_database_is_live_but_not_ready(restored_db):
    async with served(restored_db.settings.model_copy(update={"database_url": unreachable_url(restored_db)})) as client:
        live, ready = await client.get("/server/live"), await client.get("/server/ready")

    assert live.status_code == 200
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})


async def test_a_process_with_many_waiting_requests_stays_ready(readonly_db):
    settings = readonly_db.settings.model_copy(update={"db_pool_size": 1, "db_queue_size": 1})
    async with served(settings) as client:
        requests = [client.get("/users", headers=ADA) for _ in range(20)]
        *responses, ready = await asyncio.gather(*requests, client.get("/server/ready"))

    assert 503 in {response.status_code for response in responses}
    assert ready.json() == READY


async def test_probes_are_not_limited(readonly_db):
    limits = {"rate_limiter_enabled": True, "rate_limiter_points": 2}
    async with served(readonly_db.settings.model_copy(update=limits)) as client:
        probes = [(await client.get("/server/ready")).status_code for _ in range(5)]
        others = [(await client.get("/server/ping")).status_code for _ in range(3)]

    assert probes == [200] * 5
    assert others == [200, 200, 429]


async def test_admins_see_the_health_of_each_dependency(readonly_db, tmp_path):
    storage = tmp_path / "a file where a folder should be"
    storage.touch()
    failing = {
        "storage_local_root": storage,
        "email_transport": "smtp",
        "email_smtp_host": "127.0.0.1",
        "email_smtp_port": 1,
        "rate_limiter_registration_enabled": True,
        "rate_limiter_store": "redis",
        "redis": "redis://127.0.0.1:1",
    }
    async with served(readonly_db.settings.model_copy(update=failing)) as client:
        admin = (await client.get("/server/health", headers=ADA)).json()
        in_graphql = (await client.post("/graphql/system", json={"query": "{ server_health }"}, headers=ADA)).json()
        anonymous = await client.get("/server/health")
    statuses = {name: check["status"] for name, (check,) in admin["checks"].items()}
    dialect = readonly_db.database.dialect

    assert statuses.pop(f"{dialect}:responseTime") in ("ok", "warn")
    assert statuses == {
        "redis:responseTime": "error",
        "storage:local:responseTime": "error",
        "email:connection": "error",
    }
    assert admin["status"] == "warn"
    assert in_graphql["data"]["server_health"]["checks"].keys() == admin["checks"].keys()
    assert anonymous.json().keys() == {"status"}
    assert anonymous.status_code == 200


async def test_a_dependency_that_responds_is_healthy(readonly_db):
    async with served(readonly_db.settings) as client:
        checks = (await client.get("/server/health", headers=ADA)).json()["checks"]

    assert checks.keys() == {f"{readonly_db.database.dialect}:responseTime", "storage:local:responseTime"}
    assert checks["storage:local:responseTime"][0]["status"] == "ok"
