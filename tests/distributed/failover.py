"""Kills the primary of a whole system under load, lets a replica take over, and returns what the clients saw."""

import asyncio
from functools import partial

from tests.distributed.nodes import Load, loaded, read_users, until_healthy, write_users
from tests.distributed.system import System

SECONDS_BEFORE, SECONDS_AFTER = 3.0, 5.0
SECONDS_WITHOUT_PRIMARY = 3.5
"""More than a lease: until then, nodes may read from the replica that is not promoted."""
WRITERS_PER_NODE = 2


async def fail_over(system: System) -> tuple[Load, dict[str, object]]:
    """Kill the primary, promote the first replica, and lead PgBouncer and the second replica to it."""
    load, (primary, promoted, other) = Load(), system.cluster.servers
    await primary.execute("ALTER SYSTEM SET synchronous_commit = 'on'", "SELECT pg_reload_conf()")
    nodes = list(enumerate(system.nodes))
    writers = [
        partial(write_users, load, node, f"writer-{number}-{index}")
        for index, node in nodes
        for number in range(WRITERS_PER_NODE)
    ]
    async with loaded([*writers, *(partial(read_users, load, node) for _, node in nodes)]):
        await asyncio.sleep(SECONDS_BEFORE)
        await asyncio.to_thread(primary.kill)
        await asyncio.sleep(SECONDS_WITHOUT_PRIMARY)
        await asyncio.to_thread(promoted.promote)
        system.pooler.lead_to(promoted)
        await system.cluster.follow(other, promoted)
        await system.cluster.streaming(promoted, 1)
        await promoted.set_synchronous(other.name)
        await asyncio.gather(*(until_healthy(node) for node in system.nodes))
        await asyncio.sleep(SECONDS_AFTER)
    emails = await promoted.value("SELECT array_agg(email::text) FROM directus_users")
    assert isinstance(emails, list)
    return load, failover_figures(load, set(emails))


def failover_figures(load: Load, stored: set[str]) -> dict[str, object]:
    """Return the figures of a failover, given the e-mail addresses that are stored after it."""
    return {
        "seconds without answers": round(load.seconds_without_answers, 2),
        "acknowledged": len(load.acknowledged),
        "missing": len(set(load.acknowledged) - stored),
        "unknown": len(load.unknown),
        "unknown and stored": len(set(load.unknown) & stored),
        **load.statuses,
    }
