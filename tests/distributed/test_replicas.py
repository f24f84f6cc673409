"""Reads on real replicas: no right is stale, own writes are seen, and a paused replica stops nothing for long."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx
import pytest

from tests.distributed.cluster import free_port, missing_requirements, running_cluster
from tests.distributed.nodes import Connection, run_rollcall, running_nodes
from tests.distributed.processors import processor_seconds

MISSING = missing_requirements() or (None if shutil.which("redis-server") else "redis-server is not installed")
pytestmark = [pytest.mark.nightly, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

READS = int(os.environ.get("REPLICA_TEST_READS", "4000"))
CHANGES = int(os.environ.get("REPLICA_TEST_CHANGES", "100"))
OWN_WRITES = int(os.environ.get("REPLICA_TEST_OWN_WRITES", "200"))
READER_TOKEN, WRITER_TOKEN = "token-of-the-reader", "token-of-the-writer"
NODES = 3
NO_ROW, EMPTY = {"id": {"_null": True}}, b'{"data":[]}'
"""The rule of a permission that grants no row, and the response to a read with it. Both rights take a statement."""


@contextmanager
def running_redis():
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def replicated_nodes(folder, *, replicas=True):
    """A primary, two replicas and Redis, with three nodes that use them."""
    with running_cluster(2) as cluster, running_redis() as redis:
        await run_rollcall(cluster.primary.url(), "bootstrap")
        await cluster.streaming(cluster.primary, 2)
        await cluster.primary.set_synchronous("s1", "s2")
        settings = {"RATE_LIMITER_STORE": "redis", "REDIS": redis}
        if replicas:
            settings["DATABASE_REPLICA_URLS"] = ",".join(standby.url() for standby in cluster.standbys)
        async with running_nodes(folder, NODES, cluster.primary.url(), **settings) as nodes:
            await asyncio.sleep(4)  # two checks until the replicas are used
            yield cluster, nodes


async def created(node, path, **values):
    response = await node.post(path, json=values)
    assert response.is_success, response.text
    return response.json()["data"]["id"]


async def add_user(node, token, *permissions):
    """Add a user with a role of its own, and return the keys of its permissions."""
    role = await created(node, "/roles", name=token)
    policy = await created(node, "/policies", name=token)
    await created(node, "/access", role=role, policy=policy)
    await created(node, "/users", email=f"{token}@example.com", role=role, token=token, status="active")
    return [await created(node, "/permissions", policy=policy, **permission) for permission in permissions]


@dataclass
class Rights:
    """What is known about a right: whether it is granted, unless a change of it is under way."""

    granted: bool = True
    version: int = 0
    changing: bool = False
    waits: list[float] = field(default_factory=list)


@dataclass
class Findings:
    """What the readers have seen."""

    reads: int = 0
    judged: int = 0
    stale: int = 0
    others: Counter[int] = field(default_factory=Counter)


async def change_rights(rights, nodes, permission, changes, finished):
    """Grant and revoke a right in turn, on any node, and measure how long each change takes."""
    try:
        while rights.version < changes:
            granted, began = not rights.granted, time.monotonic()
            rights.changing = True
            body = {"permissions": {} if granted else NO_ROW}
            response = await random.choice(nodes).patch(f"/permissions/{permission}", json=body)
            if response.is_success:
                rights.granted, rights.version, rights.changing = granted, rights.version + 1, False
                rights.waits.append(time.monotonic() - began)
            await asyncio.sleep(random.uniform(0, 1))
    finally:
        finished.set()


async def read_names(rights, findings, node, reads, finished):
    """Read rows for which the right changes, and compare each response with the right before and after it."""
    connection = Connection(node, "/roles?fields=name&limit=1", READER_TOKEN)
    while findings.reads < reads or not finished.is_set():
        before = (rights.version, rights.changing)
        status, body = await connection.get()
        findings.reads += 1
        if status != httpx.codes.OK:
            findings.others[status] += 1
        elif before == (rights.version, rights.changing) and not rights.changing:
            findings.judged += 1
            findings.stale += (body != EMPTY) != rights.granted
    connection.close()


async def pause_now_and_then(cluster, finished):
    """Pause the replay of one replica, of the other, and of both in turn, for short and long times."""
    first, second = cluster.standbys
    for number in count():
        await asyncio.sleep(3)
        if finished.is_set():
            return number
        paused = ([first, second], [first], [second])[number % 3]
        for standby in paused:
            await standby.execute("SELECT pg_wal_replay_pause()")
        await asyncio.sleep((2, 0.3, 7, 1)[number % 4])
        for standby in paused:
            await standby.execute("SELECT pg_wal_replay_resume()")
    raise AssertionError


def percentile(values, part):
    return round(sorted(values)[int(len(values) * part)] * 1000, 1)


async def test_no_right_is_stale_while_replicas_pause(tmp_path):
    rights, findings, finished = Rights(), Findings(), asyncio.Event()
    async with replicated_nodes(tmp_path) as (cluster, nodes):
        grant = {"collection": "directus_roles", "action": "read", "fields": ["id", "name"], "permissions": {}}
        (permission,) = await add_user(nodes[0], READER_TOKEN, grant)
        readers = [read_names(rights, findings, node, READS, finished) for node in nodes * 2]
        changer = change_rights(rights, nodes, permission, CHANGES, finished)
        pauses, *_ = await asyncio.gather(pause_now_and_then(cluster, finished), changer, *readers)
        placed = await statements_of(cluster)
    figures = {
        "reads": findings.reads,
        "judged": findings.judged,
        "stale": findings.stale,
        "changes": rights.version,
        "pauses": pauses,
        "ms of a change p50, p90, max": [percentile(rights.waits, part) for part in (0.5, 0.9, 0.999)],
        "transactions": placed,
        "others": dict(findings.others),
    }
    sys.stdout.write(f"{figures}\n")

    assert findings.stale == 0
    assert findings.judged > findings.reads / 4
    assert not findings.others


async def statements_of(cluster):
    """How many transactions each server has run."""
    query = "SELECT sum(xact_commit + xact_rollback)::int FROM pg_stat_database"
    return {server.name: await server.value(query) for server in cluster.servers}


async def test_own_writes_are_seen_on_every_node(tmp_path):
    missed = 0
    headers = {"Authorization": f"Bearer {WRITER_TOKEN}"}
    rules = {"collection": "directus_users", "fields": ["*"], "permissions": {}}
    async with replicated_nodes(tmp_path) as (cluster, nodes):
        await add_user(nodes[0], WRITER_TOKEN, {**rules, "action": "read"}, {**rules, "action": "update"})
        finished = asyncio.Event()
        pausing = asyncio.ensure_future(pause_now_and_then(cluster, finished))
        for number in range(OWN_WRITES):
            written = await random.choice(nodes).patch("/users/me", json={"title": str(number)}, headers=headers)
            assert written.is_success, written.text
            read = await random.choice(nodes).get("/users/me?fields=title", headers=headers)
            missed += read.json()["data"]["title"] != str(number)
            await asyncio.sleep(random.choice((0, 0.01, 0.1)))
        finished.set()
        await pausing
    sys.stdout.write(f"own writes {OWN_WRITES}, missed {missed}\n")

    assert missed == 0


async def test_a_replica_that_is_paused_delays_a_change_and_returns_by_itself(tmp_path):
    async with replicated_nodes(tmp_path) as (cluster, (node, *_)):
        policy = await created(node, "/policies", name="one")
        paused = cluster.standbys[1]
        await paused.execute("SELECT pg_wal_replay_pause()")
        change = asyncio.ensure_future(node.patch(f"/policies/{policy}", json={"name": "two"}))
        await asyncio.sleep(0.5)
        other = await node.post("/users", json={"email": "other@example.com"})
        was_waiting = not change.done()
        response = await change
        await cluster.primary.set_synchronous("s1")
        began = time.monotonic()
        without = await node.patch(f"/policies/{policy}", json={"name": "three"})
        seconds_without = time.monotonic() - began
        await paused.execute("SELECT pg_wal_replay_resume()")
        await cluster.primary.set_synchronous("s1", "s2")
        await asyncio.sleep(4)
        before = await reads_on(paused)
        for _ in range(20):
            assert (await node.get("/roles?fields=name")).is_success
            await asyncio.sleep(0.3)
        after = await reads_on(paused)
    sys.stdout.write(f"a change without the replica took {seconds_without:.2f} s\n")

    assert was_waiting
    assert other.is_success
    assert (response.status_code, response.json()["data"]["name"]) == (200, "two")
    assert without.is_success
    assert after > before


async def test_a_right_revoked_while_both_replicas_are_paused_is_gone_when_the_write_is_answered(tmp_path):
    grant = {"collection": "directus_roles", "action": "read", "fields": ["id", "name"], "permissions": {}}
    async with replicated_nodes(tmp_path) as (cluster, nodes):
        (permission,) = await add_user(nodes[0], READER_TOKEN, grant)
        await asyncio.sleep(5)
        before = await rows_on_each(nodes)
        for standby in cluster.standbys:
            await standby.execute("SELECT pg_wal_replay_pause()")
        revoked = await nodes[0].patch(f"/permissions/{permission}", json={"permissions": NO_ROW})
        after = await rows_on_each(nodes)

    assert EMPTY not in {body for _, body in before}
    assert revoked.is_success
    assert set(after) == {(200, EMPTY)}


async def rows_on_each(nodes):
    """Return four responses of each node to the reader."""
    connections = [Connection(node, "/roles?fields=name&limit=1", READER_TOKEN) for node in nodes]
    responses = [await connection.get() for connection in connections * 4]
    for connection in connections:
        connection.close()
    return responses


async def reads_on(server):
    """How often the table of roles was scanned on a server."""
    query = "SELECT (coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::int FROM pg_stat_user_tables"
    return int(await server.value(f"{query} WHERE relname = 'directus_roles'"))


@pytest.mark.parametrize("replicas", [False, True])
async def test_the_processor_time_of_the_primary_per_read(tmp_path, replicas):
    grant = {"collection": "directus_roles", "action": "read", "fields": ["*"], "permissions": {}}
    async with replicated_nodes(tmp_path, replicas=replicas) as (cluster, nodes):
        await add_user(nodes[0], READER_TOKEN, grant)
        await asyncio.sleep(5)

        async def read(node, number):
            connection = Connection(node, "/roles?fields=id,name&limit=20", READER_TOKEN)
            for _ in range(number):
                assert (await connection.get())[0] == 200
            connection.close()

        await asyncio.gather(*(read(node, 20) for node in nodes))
        before = [processor_seconds(server) for server in cluster.servers]
        await asyncio.gather(*(read(node, READS // NODES) for node in nodes))
        used = [processor_seconds(server) - earlier for server, earlier in zip(cluster.servers, before, strict=True)]
    per_read = [round(seconds / READS * 1e6) for seconds in used]
    sys.stdout.write(f"replicas {replicas}: microseconds per read of primary, s1, s2: {per_read}\n")
    assert not replicas or used[1] > 0
