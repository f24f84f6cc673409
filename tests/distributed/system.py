"""Runs all parts of a large installation, each in a network namespace of its own, with the load in another one."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.distributed.backing_services import PgBouncer, Redis, running_pgbouncer, running_redis
from tests.distributed.cluster import Cluster, running_cluster
from tests.distributed.hosts import Host, running_network
from tests.distributed.nodes import run_rollcall, running_process_on
from tests.distributed.processors import processor_seconds, tree_seconds

DATABASES = ("primary", "replica1", "replica2")
NODES = ("node1", "node2", "node3")
NAMES = (*DATABASES, "pgbouncer", "redis", *NODES, "load")
POOL_SIZE = 20
"""Connections of PgBouncer to the primary at most."""


@dataclass
class System:
    """A primary with two synchronous replicas, PgBouncer in front of it, Redis, and the nodes that run."""

    hosts: dict[str, Host]
    cluster: Cluster
    redis: Redis
    pooler: PgBouncer
    folder: Path
    nodes: list[httpx.AsyncClient] = field(default_factory=list)
    processes: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def running_nodes(self, *, replicas: bool) -> AsyncIterator[Sequence[httpx.AsyncClient]]:
        """Run a node in each of its namespaces, with or without the replicas."""
        settings = {"RATE_LIMITER_STORE": "redis", "REDIS": self.redis.url, "DB_POOLER": "transaction"}
        if replicas:
            settings["DATABASE_REPLICA_URLS"] = ",".join(standby.url() for standby in self.cluster.standbys)
        async with AsyncExitStack() as stack:
            for name in NODES:
                node = running_process_on(self.hosts[name], self.folder, self.pooler.url, **settings)
                client, process = await stack.enter_async_context(node)
                self.nodes.append(client)
                self.processes.append(process)
            yield self.nodes
        self.nodes, self.processes = [], []

    def processor_seconds(self) -> dict[str, float]:
        """Return the processor time that each part has used so far."""
        servers = zip(DATABASES, self.cluster.servers, strict=True)
        return {
            **{name: processor_seconds(server) for name, server in servers},
            "pgbouncer": tree_seconds(self.pooler.process.pid),
            "redis": tree_seconds(self.redis.process.pid),
            **{name: tree_seconds(pid) for name, pid in zip(NODES, self.processes, strict=True)},
        }


@asynccontextmanager
async def running_system(folder: Path) -> AsyncIterator[System]:
    """Run all parts but the nodes; the block is in the namespace of the load."""
    with (
        running_network(NAMES) as hosts,
        hosts["load"].entered(),
        running_cluster(2, [hosts[name] for name in DATABASES]) as cluster,
        running_redis(hosts["redis"]) as redis,
    ):
        await run_rollcall(cluster.primary.url(), "bootstrap")
        await cluster.streaming(cluster.primary, 2)
        await cluster.primary.set_synchronous("s1", "s2")
        with running_pgbouncer(cluster.primary, "transaction", POOL_SIZE, hosts["pgbouncer"]) as pooler:
            yield System(hosts, cluster, redis, pooler, folder)
