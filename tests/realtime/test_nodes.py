"""Two nodes on one database, and other programs that write: subscribers of both nodes see every change, in order."""

import asyncio
from contextlib import asynccontextmanager
from itertools import count
from uuid import uuid4

import asyncpg
import httpx
import pytest_asyncio

from tests.base_data import static_token, uid
from tests.realtime.mirror import DirectusMirror, GraphQLMirror, converged, mirroring
from tests.realtime.sockets import graphql_client, serving, subscribed
from tests.realtime.test_events import write

ADA, VI = static_token("ada"), static_token("vi")
ROWS = [uid("ed"), uid("ida"), uid("sue")]
WRITES = 9
LONG = "x" * 20_000
"""More than a notification of PostgreSQL can carry."""
BY_DIRECTUS = """
UPDATE directus_users SET title = '{title}' WHERE id IN ('{key}');
INSERT INTO directus_activity (action, "user", collection, item, timestamp)
VALUES ('update', '{user}', 'directus_users', '{key}', CURRENT_TIMESTAMP);
UPDATE directus_users SET last_access = CURRENT_TIMESTAMP WHERE id = '{user}';
"""
"""What Directus does when a user is updated."""


@pytest_asyncio.fixture(scope="module")
async def nodes(shared_db):
    async with serving(shared_db.settings) as first, serving(shared_db.settings) as second:
        yield first, second


@asynccontextmanager
async def http_client(node):
    headers = {"Authorization": f"Bearer {ADA}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{node.port}", headers=headers, timeout=30) as client:
        yield client


async def read_rows(node, token):
    """Return what a caller sees of the users' titles."""
    async with http_client(node) as client:
        query = {"fields": "id,title", "limit": "-1"}
        response = await client.get("/users", params=query, headers={"Authorization": f"Bearer {token}"})
    return response.json()["data"]


def mirror_of(node, protocol, token):
    if protocol == "directus":
        return DirectusMirror(lambda: node.port, token)

    async def read(_):
        await subscribed(node, 4)
        return await read_rows(node, token)

    return GraphQLMirror(lambda: node.port, token, read)


async def run_alone(system, sql):
    """Run statements in one transaction; `write` also resets sequences, from which others are taking values."""
    if system.database.dialect != "postgresql":
        await write(system, sql)
        return
    connection = await asyncpg.connect(system.settings.database_url.replace("+asyncpg", ""))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


class Writers:
    """Write titles that count up, each row by all writers in turn, so that its titles are in the order of commits."""

    def __init__(self, system, clients):
        self.system, self.clients = system, clients
        self.turns = {key: (asyncio.Lock(), count(1)) for key in ROWS}

    async def write(self, by, number):
        key = ROWS[number % len(ROWS)]
        lock, numbers = self.turns[key]
        async with lock:
            title = f"{next(numbers):05}"
            if by == "directus":
                await run_alone(self.system, BY_DIRECTUS.format(key=key, title=title, user=uid("ada")))
                return
            response = await self.clients[by].patch(f"/users/{key}", json={"title": title})
            assert response.is_success, response.text

    async def run(self, by):
        for number in range(WRITES):
            await self.write(by, number)

    async def add_and_remove(self, client):
        """Create two users, and delete one of them."""
        for title in ("Stays", "Goes"):
            row = {"id": str(uuid4()), "email": f"{title}@example.com", "title": title}
            (await client.post("/users", json=row)).raise_for_status()
        (await client.delete(f"/users/{row['id']}")).raise_for_status()


async def test_subscribers_of_both_nodes_see_every_change_in_the_order_of_commits(nodes, restored_db):
    mirrors = [
        mirror_of(node, protocol, token)
        for node in nodes
        for token in (ADA, VI)
        for protocol in ("directus", "graphql")
    ]
    async with mirroring(*mirrors), http_client(nodes[0]) as first, http_client(nodes[1]) as second:
        writers = Writers(restored_db, (first, second))
        await asyncio.gather(*map(writers.run, (0, 1, "directus")), writers.add_and_remove(second))
        for mirror in mirrors:
            rows = await read_rows(nodes[0], mirror.token)
            await converged(mirror, {row["id"]: row["title"] for row in rows})

    for mirror in mirrors:
        assert mirror.connections == 1
        for key in ROWS:
            titles = mirror.titles[key][1:]
            assert titles == sorted(titles)
            assert titles[-1] == f"{WRITES:05}"
            assert mirror.token == ADA or len(set(titles)) == len(titles)


async def test_a_change_that_no_notification_could_carry_arrives_at_both_nodes(nodes, restored_db):
    query = "subscription { directus_users_mutated { data { description } } }"
    async with graphql_client(nodes[0], ADA) as first, graphql_client(nodes[1], ADA) as second:
        for client, node in zip((first, second), nodes, strict=True):
            await client.subscribe(query)
            await subscribed(node, 1)
        await write(restored_db, f"UPDATE directus_users SET description = '{LONG}' WHERE id = '{ROWS[0]}';")
        for client in (first, second):  # who sees everything may be sent an event from just before the subscription
            while (await client.next())["data"]["description"] != LONG:
                pass


async def test_a_transaction_that_commits_late_arrives_at_both_nodes(nodes, restored_db, connection):
    title = "UPDATE directus_users SET title = '{}' WHERE id = '{}'"
    async with graphql_client(nodes[0], VI) as first, graphql_client(nodes[1], VI) as second:
        for client, node in zip((first, second), nodes, strict=True):
            await client.subscribe()
            await subscribed(node, 1)
        async with connection.transaction():
            await connection.execute(title.format("late", ROWS[0]))
            for number in range(3):
                await write(restored_db, title.format(number, ROWS[1]) + ";")
                early = [await client.next() for client in (first, second)]
        late = [await client.next() for client in (first, second)]

    assert {result["key"] for result in early} == {ROWS[1]}
    assert [(result["key"], result["data"]["title"]) for result in late] == [(ROWS[0], "late")] * 2
