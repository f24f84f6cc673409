"""A Directus on the same database learns of every change of access rights and of no other write, with few calls."""

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import text, update

from app.core.clock import utc_now
from app.core.errors import Forbidden
from app.db.models import DIRECTUS_NODES, ORIGIN, Permission
from app.flows import background_jobs, directus_cache_job
from app.flows.directus_cache_job import LEASE, MAX_RETRY_WAIT, DirectusCacheJob
from app.flows.import_export import import_rows
from app.flows.user_admin import UserAdmin
from app.testing import open_system
from tests.base_data import uid
from tests.directus.node import TOKEN, DirectusNode, beside
from tests.http.test_graphql import ADA, served
from tests.logs import captured_logs
from tests.mail.server import execute, table_rows, with_clock_ahead

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(directus_cache_job, "MIN_PAUSE", timedelta(0))


@pytest_asyncio.fixture
async def node():
    async with DirectusNode().up() as node:
        yield node


async def run_job(services):
    job = DirectusCacheJob(services)
    try:
        return await job.run_once()
    finally:
        await job.close()


async def node_rows(services):
    return await table_rows(services, DIRECTUS_NODES, DIRECTUS_NODES.c.url)


async def change_rights(services, number=0):
    """Change rights as another program does."""
    await execute(services, update(Permission).where(Permission.id == 100).values(action=f"read{number}"))


def captured_job_logs():
    return captured_logs(background_jobs, directus_cache_job)


def mutation(text):
    return "POST", "/graphql/system", {"query": f"mutation {{ {text} }}"}


WES, WILL, PAT, RIGHTS = uid("wes"), uid("will"), uid("pat"), uid("policy-Rights")
NEW_PERMISSION = {"policy": RIGHTS, "collection": "pages", "action": "read", "fields": ["*"]}
CHANGES = [
    ("PATCH", f"/users/{WES}", {"role": None}),
    ("PATCH", f"/users/{WES}", {"status": "suspended"}),
    ("PATCH", f"/users/{WES}", {"policies": [{"policy": RIGHTS}]}),
    ("DELETE", f"/users/{WES}", None),
    ("PATCH", "/users", [{"id": WILL, "status": "archived"}]),
    ("PATCH", f"/roles/{uid('role-Writer')}", {"parent": uid("role-Tokens")}),
    ("PATCH", f"/roles/{uid('role-Rights')}", {"users": {"update": [{"id": uid("rita"), "status": "draft"}]}}),
    ("PATCH", f"/policies/{RIGHTS}", {"ip_access": ["10.0.0.1"]}),
    ("POST", "/permissions", NEW_PERMISSION),
    ("PATCH", "/permissions/100", {"fields": ["id"]}),
    ("DELETE", "/permissions/101", None),
    mutation(f'update_users_item(id: "{PAT}", data: {{ role: null }}) {{ id }}'),
    mutation(f'update_users_items(ids: ["{PAT}"], data: {{ status: "suspended" }}) {{ id }}'),
    mutation("delete_permissions_item(id: 102) { id }"),
    mutation(f'update_policies_item(id: "{RIGHTS}", data: {{ admin_access: true }}) {{ id }}'),
    mutation(f'delete_users_item(id: "{PAT}") {{ id }}'),
]
OTHER_WRITES = [
    ("PATCH", f"/users/{WES}", {"title": "CTO"}),
    ("PATCH", f"/users/{WES}", {"status": "active"}),  # as it is
    ("POST", "/users", {"email": "new@example.com", "role": uid("role-Writer")}),
    ("POST", "/folders", {"name": "Folder"}),
    ("PATCH", f"/users/{WES}", {"role": "nonsense"}),
    ("PATCH", f"/users/{uid('ada')}", {"status": "suspended"}),  # the last admin
    mutation(f'update_users_item(id: "{WES}", data: {{ title: "CEO" }}) {{ id }}'),
]


async def test_every_change_of_rights_clears_the_caches_once_and_no_other_write_does(editors, node):
    services = beside(editors.services, node)
    await run_job(services)
    async with served(editors.settings) as client:
        for method, path, body in [*OTHER_WRITES, *CHANGES]:
            response = await client.request(method, path, headers=ADA, **({} if body is None else {"json": body}))
            expected = (method, path, body) in CHANGES

            assert not expected or (response.status_code < 300 and "errors" not in response.text), response.text
            assert [await run_job(services), await run_job(services)] == [expected, 0], (method, path, body)


async def test_changes_by_commands_imports_and_other_programs_clear_the_caches(editors, node):
    services = beside(editors.services, node)
    await run_job(services)
    for change in (
        lambda: UserAdmin(editors.services).suspend("wes@example.com"),
        lambda: import_rows(editors.database, {"directus_users": [{"id": WILL, "status": "draft"}]}, replace=False),
        lambda: change_rights(editors.services),
    ):
        await change()
        assert [await run_job(services), await run_job(services)] == [1, 0]


async def test_a_change_that_is_rolled_back_clears_no_cache(editors, node):
    services = beside(editors.services, node)
    await run_job(services)
    wes = await editors.as_user("wes@example.com")
    with pytest.raises(Forbidden):
        await wes["users"].update_one(PAT, {"status": "suspended"})

    async def fail(connection):
        await connection.execute(text("DELETE FROM directus_permissions"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await editors.database.run_in_transaction(fail)

    assert await run_job(services) == 0


async def test_many_changes_make_few_calls_and_a_change_during_a_call_makes_another(editors, node):
    services = beside(editors.services, node)

    async def change_during_call():
        node.on_request = None
        await change_rights(services, 100)

    for number in range(100):
        await change_rights(services, number)
    node.on_request = change_during_call

    assert [await run_job(services) for _ in range(3)] == [1, 1, 0]
    assert len(node.requests) == 2


async def test_further_changes_are_collected_during_a_pause(editors, node, monkeypatch):
    monkeypatch.setattr(directus_cache_job, "MIN_PAUSE", HOUR)
    services = beside(editors.services, node)
    await run_job(services)
    await change_rights(services)

    assert await run_job(services) == 0
    assert await run_job(with_clock_ahead(services, HOUR + timedelta(minutes=1))) == 1


async def test_a_node_that_is_down_is_retried_with_growing_pauses_in_one_row_and_delays_no_other(editors, node):
    down = DirectusNode()
    services, elapsed, waits = beside(editors.services, node, down), timedelta(0), []
    with captured_job_logs() as events:
        for number in range(10):
            await change_rights(services, number)
            assert await run_job(with_clock_ahead(services, elapsed)) == 1
            row = next(row for row in await node_rows(services) if row.url == down.url)
            waits.append(round((row.due - utc_now() - elapsed).total_seconds()))
            elapsed += timedelta(seconds=waits[-1] + 1)
        assert len(await node_rows(services)) == 2
        async with down.up():
            assert await run_job(with_clock_ahead(services, elapsed)) == 1
            assert await run_job(with_clock_ahead(services, elapsed + HOUR)) == 0
    failures = [event for event in events if event["event"] == "directus_cache_not_cleared"]
    max_wait = MAX_RETRY_WAIT.total_seconds()

    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, *[max_wait] * 4], abs=1)
    assert len(node.requests) == 10
    assert len(down.requests) == 1
    assert [(event["url"], event["attempts"]) for event in failures] == [(down.url, n + 1) for n in range(10)]
    assert {event["reason"] for event in failures} == {"ConnectError"}


async def test_a_rejected_token_is_logged_without_the_token_and_stored_nowhere(editors, node):
    node.status = "401 Unauthorized"
    services = beside(editors.services, node)
    with captured_job_logs() as events:
        assert await run_job(services) == 0
    [event] = events

    assert (event["log_level"], event["reason"], event["url"]) == ("warning", "HTTP 401", node.url)
    assert TOKEN not in f"{events} {await node_rows(services)} {services.settings!r}"


async def test_one_of_several_processes_calls_a_node_and_another_one_if_it_dies(editors, node):
    async with open_system(editors.settings) as other:
        processes = [beside(system.services, node) for system in (editors, other)]
        for number in range(5):
            await change_rights(processes[0], number)
            assert sum(await asyncio.gather(*(run_job(services) for services in processes * 2))) == 1
        job = DirectusCacheJob(processes[0])
        node.on_request = lambda: asyncio.sleep(30)
        await change_rights(processes[0], 9)
        task = asyncio.create_task(job.run_once())
        while len(node.requests) < 6:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await job.close()
        node.on_request = None

        assert await run_job(processes[1]) == 0
        assert await run_job(with_clock_ahead(processes[1], LEASE + timedelta(seconds=1))) == 1


async def test_a_running_server_clears_the_caches_at_once(editors, node, monkeypatch):
    monkeypatch.setattr(DirectusCacheJob, "interval_seconds", 30.0)
    services = beside(editors.services, node)
    async with asyncio.timeout(10), served(services.settings) as client:
        response = await client.patch(f"/users/{WES}", json={"status": "suspended"}, headers=ADA)
        while not node.requests:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("adopted", "urls", "warnings"), [(True, None, 1), (False, None, 0), (True, (), 0), (True, ("http://[::1]:9",), 0)]
)
async def test_a_database_of_directus_without_a_directus_url_is_warned_about_once(restored_db, adopted, urls, warnings):
    services = beside(restored_db.services, directus_url=urls)
    await execute(services, update(ORIGIN).values(adopted=adopted))
    job = DirectusCacheJob(services)
    with captured_job_logs() as events:
        for _ in range(2):
            await job.run_once()
    await job.close()

    assert [event["event"] for event in events].count("directus_not_configured") == warnings
    assert all("DIRECTUS_URL=false" in event["hint"] for event in events if "hint" in event)
