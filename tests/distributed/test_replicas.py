"""Reads on real replicas: no right is stale, own writes are seen, and a paused replica stops nothing for long."""

import asyncio
import os
import shutil
import sys
import time
from contextlib import asynccontextmanager

import pytest

from tests.distributed.backing_services import running_redis
from tests.distributed.cluster import missing_requirements, running_cluster
from tests.distributed.nodes import Connection, run_rollcall, running_nodes
from tests.distributed.processors import processor_seconds
from tests.distributed.stale_rights import (
    EMPTY,
    GRANT,
    NO_ROW,
    Workload,
    add_users,
    created,
    look_for_stale_rights,
    summary,
    without_waits,
)
from tests.metrics.readings import SCRAPE, TOKEN, parse, value

MISSING = missing_requirements() or (None if shutil.which("redis-server") else "redis-server is not installed")
pytestmark = [pytest.mark.nightly, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

READS = int(os.environ.get("REPLICA_TEST_READS", "4000"))
CHANGES = int(os.environ.get("REPLICA_TEST_CHANGES", "100"))
READER_TOKEN = "token-of-the-reader"
NODES = 3


@asynccontextmanager
async def replicated_nodes(folder, *, replicas=True):
    """A primary, two replicas and Redis, with three nodes that use them."""
    with running_cluster(2) as cluster, running_redis() as redis:
        await run_rollcall(cluster.primary.url(), "bootstrap")
        await cluster.streaming(cluster.primary, 2)
        await cluster.primary.set_synchronous("s1", "s2")
        settings = {"RATE_LIMITER_STORE": "redis", "REDIS": redis.url, "METRICS_TOKEN": TOKEN}
        if replicas:
            settings["DATABASE_REPLICA_URLS"] = ",".join(standby.url() for standby in cluster.standbys)
        async with running_nodes(folder, NODES, cluster.primary.url(), **settings) as nodes:
            await asyncio.sleep(4)  # two checks until the replicas are used
            yield cluster, nodes


async def look(cluster, nodes, **options):
    findings = await look_for_stale_rights(cluster, nodes, Workload(reads=READS, changes=CHANGES, **options))
    sys.stdout.write(f"{options}: {summary(findings)}\n")
    return findings


async def test_no_right_is_stale_and_own_writes_are_seen_while_replicas_pause(tmp_path):
    async with replicated_nodes(tmp_path) as (cluster, nodes):
        findings = await look(cluster, nodes, name="rights")

    assert findings.stale == 0
    assert findings.judged > findings.reads / 4
    assert findings.pauses
    assert set(findings.statuses) == {200}
    assert findings.own_writes
    assert findings.own_writes_missed == 0


async def test_stale_rights_would_be_noticed_if_changes_did_not_wait(tmp_path):
    async with replicated_nodes(tmp_path) as (cluster, nodes), without_waits(cluster.primary):
        findings = await look(cluster, nodes, name="control")

    assert findings.withdrawn_seen


async def test_a_replica_that_is_paused_delays_a_change_and_returns_by_itself(tmp_path):
    async with replicated_nodes(tmp_path) as (cluster, (node, *_)):
        policy = await created(node, "/policies", name="one")
        paused = cluster.standbys[1]
        lags = [await lag_of(node, paused)]
        await paused.execute("SELECT pg_wal_replay_pause()")
        change = asyncio.ensure_future(node.patch(f"/policies/{policy}", json={"name": "two"}))
        await asyncio.sleep(0.5)
        other = await node.post("/users", json={"email": "other@example.com"})
        was_waiting = not change.done()
        response = await change
        lags.append(await lag_of(node, paused))
        await cluster.primary.set_synchronous("s1")
        began = time.monotonic()
        without = await node.patch(f"/policies/{policy}", json={"name": "three"})
        seconds_without = time.monotonic() - began
        await paused.execute("SELECT pg_wal_replay_resume()")
        await cluster.primary.set_synchronous("s1", "s2")
        await asyncio.sleep(4)
        lags.append(await lag_of(node, paused))
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
    assert lags[0] < 1 < lags[1]
    assert lags[2] < 1
    assert after > before


async def test_a_right_revoked_while_both_replicas_are_paused_is_gone_when_the_write_is_answered(tmp_path):
    async with replicated_nodes(tmp_path) as (cluster, nodes):
        (permission,) = await add_users(nodes[0], [READER_TOKEN], GRANT)
        await asyncio.sleep(5)
        before = await rows_on_each(nodes)
        for standby in cluster.standbys:
            await standby.execute("SELECT pg_wal_replay_pause()")
        revoked = await nodes[0].patch(f"/permissions/{permission}", json={"permissions": NO_ROW})
        after = await rows_on_each(nodes)

    assert EMPTY not in {body for _, body in before}
    assert revoked.is_success
    assert set(after) == {(200, EMPTY)}


async def lag_of(node, server):
    """Return the metric of the lag of a replica in seconds."""
    text = (await node.get("/metrics", headers=SCRAPE)).text
    return value(parse(text), "replica_lag_seconds", replica=server.address)


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
        await add_users(nodes[0], [READER_TOKEN], grant)
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
