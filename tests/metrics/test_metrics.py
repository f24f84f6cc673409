"""Metrics for Prometheus: what is counted, who may read it, and that clients can't add to their names."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import update

from app.core.config import Settings
from app.db.models import Settings as SettingsRow
from app.metrics.instruments import Kind, Reading
from app.metrics.metrics import Metrics
from app.metrics.snapshot import Snapshot, combine
from tests.base_data import static_token, uid
from tests.compat.replay import free_port
from tests.http.clients import PASSWORD
from tests.http.test_graphql import ADA, PATH, bearer, served
from tests.metrics.readings import SCRAPE, TOKEN, parse, scrape, total, value

ME = "{ users_me { id } }"


def with_metrics(settings: Settings, **values: Any) -> Settings:
    return Settings.model_validate({**settings.model_dump(), "metrics_token": TOKEN, **values})


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(with_metrics(readonly_db.settings)) as client:
        yield client


async def test_requests_are_counted_by_endpoint_method_and_status(client):
    before = await scrape(client)
    for _ in range(3):
        await client.get("/users/me", headers=ADA)
    await client.get(f"/users/{uid('ada')}", headers=ADA)
    await client.get(f"/USERS/{uid('sam')}/", headers=ADA)
    await client.get("/users", headers=bearer("unknown"))
    after = await scrape(client)

    def added(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    assert added("http_requests_total", endpoint="/users/me", method="GET", status="200") == 3
    assert added("http_requests_total", endpoint="/users/*", method="GET", status="200") == 2
    assert added("http_requests_total", endpoint="/users", method="GET", status="401") == 1
    assert added("http_request_duration_seconds_count", endpoint="/users/me") == 3
    assert added("http_request_duration_seconds_bucket", endpoint="/users/me", le="+Inf") == 3
    assert added("http_request_duration_seconds_sum", endpoint="/users/me") > 0


async def test_clients_cannot_add_labels(client):
    for number in range(5):
        await client.request(f"METHOD{number}", f"/nowhere/{number}")
        await client.get(f"/users/{number}/me/{number}")
        await client.post(PATH, json={"query": f"query Name{number} {{ users_me {{ id }} }}"}, headers=ADA)
    text = (await client.get("/metrics", headers=SCRAPE)).text
    samples = parse(text)

    assert value(samples, "http_requests_total", endpoint="unknown", method="other", status="404") >= 5
    assert not any(name in text for name in ("METHOD1", "nowhere", "Name1", "/users/1"))


async def test_metrics_need_the_token(client):
    refused = [
        await client.get("/metrics"),
        await client.get("/metrics", headers=ADA),
        await client.get("/metrics", headers={"Authorization": f"Basic {TOKEN}"}),
        await client.get(f"/metrics?access_token={TOKEN}"),
        await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN[:-1]}"}),
    ]
    writing = await client.post("/metrics", headers=SCRAPE)
    accepted = await client.get("/metrics", headers=SCRAPE)

    assert [response.status_code for response in refused] == [401] * 5
    assert writing.status_code == 405
    assert accepted.headers["content-type"].startswith("text/plain")
    assert accepted.headers["cache-control"] == "no-store"


async def test_without_a_setting_there_are_no_metrics(readonly_db):
    async with served(readonly_db.settings) as client:
        assert (await client.get("/metrics", headers=SCRAPE)).status_code == 404


async def test_openmetrics_is_served_to_those_who_prefer_it(client):
    response = await client.get("/metrics", headers={**SCRAPE, "Accept": "application/openmetrics-text;version=1.0.0"})

    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


async def test_a_port_of_their_own_serves_metrics_to_everyone_there(readonly_db):
    port = free_port()
    settings = with_metrics(readonly_db.settings, metrics_token=None, metrics_port=port)
    async with served(settings) as client, httpx.AsyncClient() as prometheus:
        await client.get("/server/ping")
        samples = parse((await prometheus.get(f"http://127.0.0.1:{port}/metrics")).text)
        at_main_port = await client.get("/metrics")

    assert value(samples, "http_requests_total", endpoint="/server/ping", method="GET", status="200") == 1
    assert at_main_port.status_code == 404


@pytest.mark.parametrize(
    "values", [{"metrics_port": 9000}, {"metrics_token": "short"}, {"metrics_token": "a token with spaces in it"}]
)
def test_unsafe_settings_are_rejected(readonly_db, values):
    with pytest.raises(ValueError, match=r"(?i)metrics_token"):
        with_metrics(readonly_db.settings, **values)


async def test_plans_are_counted(client):
    await client.post(PATH, json={"query": ME}, headers=ADA)
    before = await scrape(client)
    query = '{ users(filter: { first_name: { _eq: "%s" } }, limit: 3) { first_name status } }'
    for name in ("Ada", "Bob"):
        await client.post(PATH, json={"query": query % name}, headers=ADA)
    await client.post(PATH, json={"query": "{ __schema { queryType { name } } }"}, headers=ADA)
    await client.get("/roles?fields=name", headers=ADA)
    await client.get("/roles?fields=name", headers=ADA)
    await client.get("/roles?meta=total_count", headers=ADA)
    after = await scrape(client)

    def added(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    assert [added("plan_requests_total", api="graphql", outcome=outcome) for outcome in ("miss", "hit")] == [1, 1]
    assert added("plan_fallbacks_total", api="graphql", reason="unplannable") == 1
    assert [added("plan_requests_total", api="rest", outcome=outcome) for outcome in ("miss", "hit")] == [1, 1]
    assert added("plan_fallbacks_total", api="rest", reason="unplannable") == 1


async def test_loads_of_access_and_statements_are_counted(readonly_db):
    async with served(with_metrics(readonly_db.settings)) as client:
        for _ in range(3):
            await client.get("/users/me", headers=bearer(static_token("sam")))
        samples = await scrape(client)

    assert value(samples, "access_loads_total", reason="new") == 1
    assert value(samples, "read_statements_total") >= 4
    assert value(samples, "pool_size", pool="read") >= value(samples, "pool_in_use", pool="read") == 0
    assert value(samples, "processes") == 1


async def test_waits_for_the_pool_are_counted(readonly_db):
    settings = with_metrics(readonly_db.settings, db_pool_size=1, db_queue_size=4)
    async with served(settings) as client:
        responses = await asyncio.gather(*(client.get("/users/me", headers=ADA) for _ in range(30)))
        samples = await scrape(client)

    rejected = sum(response.status_code == 503 for response in responses)
    assert value(samples, "pool_waits_total", pool="read") > 0
    assert value(samples, "pool_wait_seconds_total", pool="read") > 0
    assert value(samples, "pool_rejections_total", pool="read") == rejected
    assert value(samples, "pool_waiting", pool="read") == 0


async def test_sign_ins_and_lockouts_are_counted(members):
    settings = with_metrics(members.settings, login_stall_time=timedelta(0))
    async with members.database.transaction() as connection:
        await connection.execute(update(SettingsRow).values(auth_login_attempts=3))
    async with served(settings) as client:

        async def sign_in(email, password):
            return (await client.post("/auth/login", json={"email": email, "password": password})).status_code

        assert await sign_in("vi@example.com", PASSWORD) == 200
        assert await sign_in("ed@example.com", PASSWORD) == 401
        for _ in range(5):
            await sign_in("nobody@example.com", "wrong")
        samples = await scrape(client)

    assert value(samples, "sign_ins_total", method="password", outcome="succeeded") == 1
    assert value(samples, "sign_ins_total", method="password", outcome="invalid_otp") == 1
    assert value(samples, "sign_ins_total", method="password", outcome="invalid_credentials") == 5
    assert value(samples, "lockouts_total", kind="password") == 1
    assert "example.com" not in str(samples)


def reading(number: float, *labels: str) -> Reading:
    return lambda: {labels: number}


def values_of(snapshot):
    return {family.description.name: family.values for family in snapshot.families}


def test_metrics_of_several_processes_are_combined_by_their_kind():
    processes = [Metrics(), Metrics()]
    for number, metrics in enumerate(processes, 1):
        metrics.gauge("queue", "A queue", reading(number, "a"), "name")
        metrics.gauge("lag", "A lag", reading(number), kind=Kind.MAX)
        metrics.rejections.add("overload")
        metrics.requests.durations("/users", "GET", 200).observe(0.003 * number)
    snapshots = [Snapshot.decode(metrics.snapshot().encode()) for metrics in processes]
    both = values_of(combine(snapshots))
    ended = values_of(combine([snapshots[0], snapshots[1].without_gauges()]))

    assert both["rollcall_queue"] == {("a",): [3]}
    assert both["rollcall_lag"] == {(): [2]}
    assert both["rollcall_rejections"] == {("overload",): [2]}
    assert both["rollcall_http_requests"] == {("/users", "GET", "200"): [2]}
    assert sum(both["rollcall_http_request_duration_seconds"]["/users",][1:]) == 2
    assert ended["rollcall_queue"] == {("a",): [1]}
    assert ended["rollcall_rejections"] == {("overload",): [2]}


async def test_two_applications_in_one_process_count_separately(readonly_db):
    settings = with_metrics(readonly_db.settings)
    async with served(settings) as one, served(settings) as other:
        await one.get("/server/ping")

        assert total(await scrape(one), "http_requests_total", endpoint="/server/ping") == 1
        assert total(await scrape(other), "http_requests_total", endpoint="/server/ping") == 0
