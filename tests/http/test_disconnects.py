"""When a client leaves, its request is cancelled: nothing runs on in the database, and nobody waits for it."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from app.flows.import_export import import_rows
from app.testing import open_system
from tests.base_data import caller, static_token, uid
from tests.conftest import make_settings
from tests.crowd import CROWD_ROWS, DEEP_SORT
from tests.db.activity import SOON_SECONDS, active_statements
from tests.db.test_read_pool import ONE
from tests.http.test_export import listening
from tests.http.test_graphql import ADA, PATH

NO_LIMITS = {"db_statement_timeout": 60, "db_write_statement_timeout": 60, "db_transaction_timeout": 60}
LONG_QUERY = {"sort": [DEEP_SORT], "limit": 1}
READ = f'{{ users(sort: ["{DEEP_SORT}"], limit: 1) {{ id }} again: users(sort: ["-{DEEP_SORT}"], limit: 1) {{ id }} }}'
UPDATED = [uid("crowd1"), uid("crowd2")]
DEEP_FIELDS = DEEP_SORT.replace("email", "role.users.id")


@pytest.fixture
def writable_db(restored_db):
    """The database of `restored_db`: no test here changes tables."""
    return restored_db


def update(values):
    """A mutation whose result takes long to sort."""
    arguments = f'ids: {orjson.dumps(UPDATED).decode()}, data: {{ {values} }}, sort: ["{DEEP_SORT}"]'
    return f"mutation {{ update_users_items({arguments}) {{ id }} }}"


REQUESTS = {
    "a list in REST": ("GET", f"/users?sort={DEEP_SORT}&limit=1", None),
    "a list with its count": ("GET", f"/users?sort={DEEP_SORT}&limit=1&meta=total_count", None),
    "a list as SEARCH": ("SEARCH", "/users", {"query": LONG_QUERY}),
    "a list in GraphQL": ("POST", PATH, {"query": READ}),
    "the keys of an export": ("GET", f"/users?export=csv&sort={DEEP_SORT}", None),
    "the rows of an export": ("GET", f"/users?export=json&fields={DEEP_FIELDS}", None),
    "the keys of a deletion": ("DELETE", "/users", {"query": LONG_QUERY}),
    "the keys of an update": ("PATCH", "/users", {"query": LONG_QUERY, "data": {"title": "x"}}),
    "the result of an update": ("POST", PATH, {"query": update('title: "x"')}),
    "the result of an exclusive update": ("POST", PATH, {"query": update('status: "draft"')}),
    "the result of an update in REST": ("PATCH", f"/users?sort={DEEP_SORT}", {"keys": UPDATED, "data": {"title": "x"}}),
}


@asynccontextmanager
async def serving(system, **overrides):
    """Serve a database with the crowd in it on a socket, where only disconnecting ends a long statement."""
    await import_rows(system.database, CROWD_ROWS, replace=False)
    async with listening(make_settings(system.settings.database_url, **NO_LIMITS, **overrides)) as base_url:
        yield base_url


async def send(base_url, method, path, body):
    """Send a request as Eve and return the connection; the response is not read."""
    parts, data = urlsplit(base_url), b"" if body is None else orjson.dumps(body)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = (f"{method} {path} HTTP/1.1", "Host: rollcall", f"Authorization: Bearer {static_token('eve')}")
    fields = ("Content-Type: application/json", f"Content-Length: {len(data)}") if data else ()
    writer.write("\r\n".join((*head, *fields, "", "")).encode() + data)
    return writer


async def wait_until_running(system, count=1):
    if system.database.dialect == "sqlite":
        await asyncio.sleep(0.5)
        return
    async with asyncio.timeout(SOON_SECONDS):
        while len(await active_statements(system.settings.database_url)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def assert_nobody_waits(system, base_url):
    """Check that an admin can suspend a user, that users can read, and that nothing is left running."""
    async with (
        asyncio.timeout(SOON_SECONDS),
        httpx.AsyncClient(base_url=base_url, headers=ADA, timeout=SOON_SECONDS) as client,
    ):
        suspended = await client.patch(f"/users/{uid('crowd3')}", json={"status": "suspended"})
        me = await client.post(PATH, json={"query": "{ users_me { id } }"})
    assert (suspended.status_code, me.json()) == (200, {"data": {"users_me": {"id": uid("ada")}}})
    if system.database.dialect == "sqlite":
        return
    async with asyncio.timeout(SOON_SECONDS):
        while await active_statements(system.settings.database_url):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.sampled
@pytest.mark.parametrize("name", REQUESTS)
async def test_nothing_runs_on_after_a_client_has_left(writable_db, name):
    async with serving(writable_db) as base_url:
        clients = [await send(base_url, *REQUESTS[name]) for _ in range(2)]  # as many as SQLite has for reads
        await wait_until_running(writable_db)
        for client in clients:
            client.close()
        await assert_nobody_waits(writable_db, base_url)


async def test_nothing_runs_on_after_a_client_of_the_full_execution_has_left(writable_db):
    async with serving(writable_db, graphql_plans=False) as base_url:
        client = await send(base_url, "POST", PATH, {"query": READ})
        await wait_until_running(writable_db, 2)
        client.close()
        await assert_nobody_waits(writable_db, base_url)


async def test_a_write_that_waits_for_another_is_given_up_when_its_client_leaves(writable_db):
    async with serving(writable_db) as base_url, open_system(writable_db.settings) as other:
        held, released = asyncio.Event(), asyncio.Event()

        async def hold(writer):
            await writer.fetch(ONE)
            held.set()
            await released.wait()

        holding = asyncio.ensure_future(other.database.run_write(hold, exclusive=True))
        await held.wait()
        client = await send(base_url, "PATCH", f"/users/{uid('crowd1')}", {"status": "suspended"})
        await wait_until_running(writable_db, 2)
        client.close()
        await asyncio.sleep(1)
        released.set()
        await holding
        await assert_nobody_waits(writable_db, base_url)
        user = await other.directory(caller("ada"))["users"].read_one(uid("crowd1"), {"fields": ["status"]})

    assert user == {"status": "active"}
