"""The primary dies under load and a standby takes over: nothing that was acknowledged is lost, and no node restarts."""

import asyncio
import sys
from functools import partial

import pytest

from tests.distributed.cluster import missing_requirements, running_cluster
from tests.distributed.failover import failover_figures
from tests.distributed.nodes import Load, loaded, read_users, run_rollcall, running_node, until_healthy, write_users

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(missing_requirements() is not None, reason=str(missing_requirements())),
]

ROUNDS = 5
SECONDS_BEFORE, SECONDS_WITHOUT, SECONDS_AFTER = 2, 2, 3


async def fail_over_once(folder):
    """Kill the primary under load, promote the standby, and return what the clients saw and what is stored."""
    load = Load()
    with running_cluster(1) as cluster:
        primary, standby = cluster.servers
        await run_rollcall(primary.url(), "bootstrap")
        await cluster.streaming(primary, 1)
        await primary.execute("ALTER SYSTEM SET synchronous_commit = 'on'")
        await primary.set_synchronous("s1")
        async with running_node(folder, cluster.url("postgres")) as node:
            writers = [partial(write_users, load, node, f"writer{number}") for number in range(4)]
            async with loaded([*writers, *[partial(read_users, load, node)] * 2]):
                await asyncio.sleep(SECONDS_BEFORE)
                await asyncio.to_thread(primary.kill)
                await asyncio.sleep(SECONDS_WITHOUT)
                await asyncio.to_thread(standby.promote)
                await until_healthy(node)
                await asyncio.sleep(SECONDS_AFTER)
        emails = await standby.value("SELECT array_agg(email::text) FROM directus_users")
    assert isinstance(emails, list)
    return load, set(emails)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_no_acknowledged_write_is_lost_and_the_nodes_recover(number, tmp_path, record_property):
    load, stored = await fail_over_once(tmp_path)
    figures = failover_figures(load, stored)
    record_property("figures", figures)
    sys.stdout.write(f"{figures}\n")

    assert not figures["missing"]
    assert {status.split()[1] for status in load.statuses} <= {"200", "503"}
    assert load.statuses["write 503"]
    assert load.successes[-1] > load.failures[-1]
    assert load.without_retry_after == len(load.unknown)
