"""Subscribers lose nothing when a node is killed, when PostgreSQL restarts or crashes, and in a flood of events."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.distributed.cluster import missing_requirements, running_cluster
from tests.distributed.nodes import (
    ADMIN_TOKEN,
    loaded,
    run_rollcall,
    running_node,
    running_nodes,
    running_process,
    until_healthy,
)
from tests.distributed.stale_rights import add_users, created
from tests.realtime.mirror import DirectusMirror, GraphQLMirror, converged, mirroring

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(missing_requirements() is not None, reason=str(missing_requirements())),
]

VIEWER = "token-of-the-viewer"
READ_TITLES = {
    "collection": "directus_users",
    "action": "read",
    "fields": ["id", "title"],
    "permissions": {"title": {"_nnull": True}},
}
REALTIME = {"WEBSOCKETS_ENABLED": "true", "WEBSOCKETS_GRAPHQL_AUTH_TIMEOUT": "30", "WEBSOCKETS_REST_AUTH_TIMEOUT": "30"}
SECONDS = 3
FLOOD = 100_000
FLOOD_SQL = f"""
INSERT INTO directus_users (id, email)
SELECT gen_random_uuid(), 'flood-' || number || '@example.com' FROM generate_series(1, {FLOOD}) AS number
"""
NEXT_GENERATION = "UPDATE rollcall_event_capture SET generation_at = generation_at - 100"
MAX_GROWTH_MIB = 100


@asynccontextmanager
async def titled_users(cluster, folder):
    """Bootstrap a directory with a viewer and three users with titles, and yield their keys."""
    await run_rollcall(cluster.primary.url(), "bootstrap")
    async with running_node(folder, cluster.primary.url()) as node:
        await add_users(node, [VIEWER], READ_TITLES)
        keys = [await created(node, "/users", email=f"{name}@example.com", title="0") for name in ("a", "b", "c")]
    yield keys


class Nodes:
    """The ports of nodes by name, of which one may be replaced."""

    def __init__(self, **clients):
        self.clients = clients

    def mirror(self, name, token):
        return DirectusMirror(lambda: self.clients[name].base_url.port, token)

    def graphql_mirror(self, name, token, cluster, key):
        """Return a mirror that changes a row until the first event shows that the subscription has taken effect."""

        async def read(socket):
            for number in count():
                await execute(cluster, f"UPDATE directus_users SET title = 'marker {number}' WHERE id = '{key}'")
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        while json.loads(await socket.recv())["type"] != "next":
                            pass
                        break
            headers = {"Authorization": f"Bearer {token}"}
            query = {"fields": "id,title", "limit": "-1"}
            return (await self.clients[name].get("/users", params=query, headers=headers)).json()["data"]

        return GraphQLMirror(lambda: self.clients[name].base_url.port, token, read)

    async def write(self, name, keys, stopped):
        """Update titles by a node until stopped, whatever becomes of the requests."""
        for number in count():
            if stopped.is_set():
                return
            with suppress(httpx.TransportError, RuntimeError):  # the latter once the client of a killed node is closed
                title = {"title": f"{name} {number}"}
                await self.clients[name].patch(f"/users/{keys[number % len(keys)]}", json=title, timeout=5)
            await asyncio.sleep(0.02)


async def execute(cluster, statement):
    """Run a statement in a transaction; wait for a server that is restarting."""
    async with asyncio.timeout(60):
        while True:
            try:
                await cluster.primary.execute(statement)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.1)
            else:
                return


async def write_by_sql(cluster, keys, stopped):
    for number in count():
        if stopped.is_set():
            return
        key = keys[number % len(keys)]
        await execute(cluster, f"UPDATE directus_users SET title = 'sql {number}' WHERE id = '{key}'")
        await asyncio.sleep(0.02)


async def titles(cluster, condition="true"):
    query = f"SELECT json_object_agg(id, title)::text FROM directus_users WHERE {condition}"
    return json.loads(await cluster.primary.value(query))


async def check_mirrors(cluster, mirrors):
    for mirror in mirrors:
        condition = "true" if mirror.token == ADMIN_TOKEN else "title IS NOT NULL"
        await converged(mirror, await titles(cluster, condition))


async def test_a_node_is_killed_under_writes_and_nothing_is_lost(tmp_path):
    with running_cluster(0) as cluster:
        url = cluster.primary.url()
        async with (
            titled_users(cluster, tmp_path) as keys,
            running_node(tmp_path, url, **REALTIME) as second,
            AsyncExitStack() as first,
        ):
            client = await first.enter_async_context(running_node(tmp_path, url, **REALTIME))
            nodes = Nodes(first=client, second=second)
            mirrors = [nodes.mirror(name, token) for name in nodes.clients for token in (ADMIN_TOKEN, VIEWER)]
            mirrors += [nodes.graphql_mirror(name, VIEWER, cluster, keys[0]) for name in nodes.clients]
            writers = [lambda stopped, name=name: nodes.write(name, keys, stopped) for name in nodes.clients]
            async with mirroring(*mirrors, seconds=120):
                async with loaded([*writers, lambda stopped: write_by_sql(cluster, keys, stopped)]):
                    await asyncio.sleep(SECONDS)
                    await first.aclose()  # kills the node
                    await asyncio.sleep(SECONDS)
                    nodes.clients["first"] = await first.enter_async_context(running_node(tmp_path, url, **REALTIME))
                    await asyncio.sleep(SECONDS)
                await check_mirrors(cluster, mirrors)
            await first.aclose()
            await check_retention(cluster)
    connections = [mirror.connections for mirror in mirrors]
    sys.stdout.write(f"connections of each mirror: {connections}\n")

    assert sorted(connections) == [1, 1, 1, 2, 2, 2]


async def check_retention(cluster):
    """Check that the node that is left deletes the events that there are now."""
    last = await cluster.primary.value("SELECT max(id) FROM rollcall_events")
    assert last is not None
    async with asyncio.timeout(300):
        while await cluster.primary.value(f"SELECT count(*) FROM rollcall_events WHERE id <= {last}"):
            await cluster.primary.execute(NEXT_GENERATION)
            await asyncio.sleep(1)


@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_postgresql_restarts_under_writes_and_nothing_is_lost(how, tmp_path):
    with running_cluster(0) as cluster:
        async with (
            titled_users(cluster, tmp_path) as keys,
            running_nodes(tmp_path, 2, cluster.primary.url(), **REALTIME) as (first, second),
        ):
            nodes = Nodes(first=first, second=second)
            mirrors = [nodes.mirror(name, token) for name in nodes.clients for token in (ADMIN_TOKEN, VIEWER)]
            writers = [lambda stopped, name=name: nodes.write(name, keys, stopped) for name in nodes.clients]
            async with mirroring(*mirrors):
                async with loaded([*writers, lambda stopped: write_by_sql(cluster, keys, stopped)]):
                    await asyncio.sleep(SECONDS)
                    await asyncio.to_thread(restart, cluster.primary, how)
                    await asyncio.gather(*map(until_healthy, (first, second)))
                    await asyncio.sleep(SECONDS)
                await check_mirrors(cluster, mirrors)
            connections = [mirror.connections for mirror in mirrors]
    sys.stdout.write(f"{how}: connections of each mirror: {connections}\n")

    assert how != "fast" or connections == [1] * len(mirrors)


def restart(server, how):
    """Restart a server; an immediate stop is a crash."""
    server.stop(how)
    server.start()


async def test_subscribers_learn_that_a_crash_has_lost_a_commit(tmp_path):
    with running_cluster(0) as cluster:
        async with (
            titled_users(cluster, tmp_path) as keys,
            running_node(tmp_path, cluster.primary.url(), **REALTIME) as node,
        ):
            nodes = Nodes(node=node)
            mirrors = [nodes.mirror("node", token) for token in (ADMIN_TOKEN, VIEWER)]
            async with mirroring(*mirrors):
                await cluster.primary.execute(
                    "ALTER SYSTEM SET synchronous_commit = off",
                    "ALTER SYSTEM SET wal_writer_delay = '10s'",
                    "SELECT pg_reload_conf()",
                    "CHECKPOINT",
                )
                lost = f"UPDATE directus_users SET title = 'lost' WHERE id = '{keys[0]}'"
                await cluster.primary.execute(lost)
                await asyncio.gather(*(converged(mirror, mirror.rows | {keys[0]: "lost"}) for mirror in mirrors))
                await asyncio.to_thread(restart, cluster.primary, "immediate")
                stored = await titles(cluster)
                await check_mirrors(cluster, mirrors)

    assert stored[keys[0]] == "0"


async def test_a_flood_of_events_is_worked_off_in_bounded_memory_and_deleted(tmp_path):
    with running_cluster(0) as cluster:
        async with (
            titled_users(cluster, tmp_path) as keys,
            running_process(tmp_path, cluster.primary.url(), **REALTIME) as (node, pid),
        ):
            nodes = Nodes(node=node)
            mirror = nodes.mirror("node", VIEWER)
            async with mirroring(mirror):
                before = resident_mib(pid)
                await cluster.primary.execute(FLOOD_SQL)
                await cluster.primary.execute(f"UPDATE directus_users SET title = 'after' WHERE id = '{keys[0]}'")
                await check_mirrors(cluster, [mirror])
                await asyncio.sleep(1)
                growth = resident_mib(pid) - before
            events = int(str(await cluster.primary.value("SELECT count(*) FROM rollcall_events")))
            await check_retention(cluster)
    sys.stdout.write(f"{events} events, {growth} MiB more\n")

    assert events > FLOOD
    assert growth < MAX_GROWTH_MIB


def resident_mib(pid):
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024
