"""Rollcall behind PgBouncer in both modes, with fewer connections to PostgreSQL than it opens itself."""

import asyncio
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.distributed.cluster import USER, as_user, free_port, missing_requirements, running_cluster
from tests.distributed.nodes import ADMIN_TOKEN, Connection, run_rollcall, running_node
from tests.distributed.processors import processor_seconds

MISSING = missing_requirements() or (None if shutil.which("pgbouncer") else "pgbouncer is not installed")
pytestmark = [pytest.mark.nightly, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

READS = 1500
CLIENTS = 4
DIRECT = "direct"
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
pidfile = {folder}/pgbouncer.pid
"""
POOL_SIZES = {"session": 40, "transaction": 3}


@contextmanager
def running_pgbouncer(server, mode):
    """Run PgBouncer in front of a server, and yield the URL to connect to, and its process."""
    port = free_port()
    file = server.folder / f"pgbouncer-{mode}.ini"
    options = {"server": server.port, "user": USER, "port": port, "mode": mode, "folder": server.folder}
    file.write_text(CONFIGURATION.format(**options, size=POOL_SIZES[mode]))
    process = subprocess.Popen(as_user("pgbouncer", "-q", file), stderr=subprocess.DEVNULL)
    try:
        yield server.url().replace(server.address, f"127.0.0.1:{port}"), process
    finally:
        process.terminate()
        process.wait()


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
        with running_pgbouncer(cluster.primary, mode) as (url, process):
            await asyncio.sleep(1)
            await check(cluster.primary, url, mode, tmp_path, process.pid)


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
