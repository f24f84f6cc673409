"""Rollcall behind PgBouncer in both modes, with fewer connections to PostgreSQL than it opens itself."""

import asyncio
import shutil
import sys

import pytest

from tests.distributed.backing_services import running_pgbouncer
from tests.distributed.cluster import missing_requirements, running_cluster
from tests.distributed.nodes import ADMIN_TOKEN, Connection, run_rollcall, running_node
from tests.distributed.processors import processor_seconds

MISSING = missing_requirements() or (None if shutil.which("pgbouncer") else "pgbouncer is not installed")
pytestmark = [pytest.mark.nightly, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

READS = 1500
CLIENTS = 4
DIRECT = "direct"
POOL_SIZES = {"session": 40, "transaction": 3}


async def read_and_write(node):
    """Create users at once, and return the statuses and how many of them a read finds."""
    created = await asyncio.gather(
        *(node.post("/users", json={"email": f"user-{number}@example.com"}) for number in range(20))
    )
    query = {"query": '{ users(filter: {email: {_starts_with: "user-"}}, limit: -1) { email role { name } } }'}
    found = await asyncio.gather(*(node.post("/graphql/system", json=query) for _ in range(20)))
    return {response.status_code for response in [*created, *found]}, len(found[-1].json()["data"]["users"])


@pytest.mark.parametrize("mode", [DIRECT, *POOL_SIZES])
async def test_requests_succeed_with_few_connections_to_the_server(mode, tmp_path):
    with running_cluster(0) as cluster:
        await run_rollcall(cluster.primary.url(), "bootstrap")
        if mode == DIRECT:
            await check(cluster.primary, cluster.primary.url(), mode, tmp_path)
            return
        with running_pgbouncer(cluster.primary, mode, POOL_SIZES[mode]) as pooler:
            await asyncio.sleep(1)
            await check(cluster.primary, pooler.url, mode, tmp_path, pooler.process.pid)


async def check(server, url, mode, folder, *pids):
    settings = {"DB_POOLER": "transaction"} if mode == "transaction" else {}
    async with running_node(folder, url, **settings) as node:
        outcome = await read_and_write(node)
        before = processor_seconds(server, *pids)
        await asyncio.gather(*(read(node) for _ in range(CLIENTS)))
        used = processor_seconds(server, *pids) - before
        query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
        connections = await server.value(query)
    per_read = round(used / READS * 1e6)
    sys.stdout.write(f"{mode}: {per_read} µs of the server and PgBouncer per read, {connections} connections\n")

    assert outcome == ({200}, 20)
    assert mode != "transaction" or connections <= POOL_SIZES["transaction"]


async def read(node):
    connection = Connection(node, "/users/me?fields=id,email,role.name", ADMIN_TOKEN)
    for _ in range(READS // CLIENTS):
        assert (await connection.get())[0] == 200
    connection.close()
