"""Measures an installation of several machines, each of which is a network namespace of this one.

A primary, two streaming replicas, PgBouncer, Redis and three nodes run in namespaces, and the load comes from another
one. `python -m tests.bench.cluster` needs root, and prints

- what a read and an idle second cost each part in processor time, without and with the replicas, with 1 to 3 nodes;
- what readers saw while rights changed and replicas were paused, and the same without the guarantee, as a control;
- what clients saw while the primary was killed.

Processor times are comparable on a busy machine, requests per second only on a quiet one.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.distributed.backing_services import missing_services
from tests.distributed.cluster import missing_requirements
from tests.distributed.failover import fail_over
from tests.distributed.hosts import missing_namespaces
from tests.distributed.nodes import Connection
from tests.distributed.stale_rights import GRANT, Workload, add_users, look_for_stale_rights, summary, without_waits
from tests.distributed.system import NODES, System, running_system

CONNECTIONS = 12
IDLE_SECONDS = 10.0
SECONDS_UNTIL_REPLICAS_ARE_USED = 4.0
PATH = "/roles?fields=id,name&limit=20"
TOKENS = [f"cost-{number}" for number in range(CONNECTIONS)]
CONTROL = Workload("control", reads=2000, changes=100)


async def measure_reads(system: System, nodes: int, reads: int) -> dict[str, float]:
    """Read through the first of the nodes, and return reads per second, and µs of each part per read."""
    connections = [Connection(system.nodes[index % nodes], PATH, token) for index, token in enumerate(TOKENS)]

    async def read(connection: Connection, number: int) -> None:
        for _ in range(number):
            status, _ = await connection.get()
            assert status == 200  # OK

    await asyncio.gather(*(read(connection, 20) for connection in connections))
    before, began = system.processor_seconds(), time.monotonic()
    await asyncio.gather(*(read(connection, reads // CONNECTIONS) for connection in connections))
    seconds, after = time.monotonic() - began, system.processor_seconds()
    for connection in connections:
        connection.close()
    done = reads // CONNECTIONS * CONNECTIONS
    return {"reads/s": done / seconds, **_difference(before, after, 1e6 / done)}


async def measure_idle(system: System) -> dict[str, float]:
    """Return what each part takes without load, in ms per second."""
    before = system.processor_seconds()
    await asyncio.sleep(IDLE_SECONDS)
    return _difference(before, system.processor_seconds(), 1000 / IDLE_SECONDS)


def _difference(before: Mapping[str, float], after: Mapping[str, float], factor: float) -> dict[str, float]:
    return {name: (after[name] - before[name]) * factor for name in after}


def show(title: str, figures: Mapping[str, object]) -> None:
    """Print a line with the figures of a measurement; those of the nodes are added up."""
    values = dict(figures)
    if NODES[0] in values:
        values["nodes"] = sum(float(str(values.pop(name))) for name in NODES)
    texts = (f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())
    sys.stdout.write(f"{title}: {', '.join(texts)}\n")
    sys.stdout.flush()


async def measure_costs(system: System, reads: int, *, replicas: bool) -> None:
    label = "with replicas" if replicas else "without replicas"
    show(f"ms per idle second {label}", await measure_idle(system))
    for nodes in range(1, len(NODES) + 1):
        show(f"µs per read {label}, {nodes} of the nodes", await measure_reads(system, nodes, reads))


async def measure(options: argparse.Namespace) -> None:
    """Run the parts of the benchmark that were chosen."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_system(Path(folder)) as system:
            if "cost" in options.parts:
                async with system.running_nodes(replicas=False) as nodes:
                    await add_users(nodes[0], TOKENS, GRANT)
                    await measure_costs(system, options.reads_per_cost, replicas=False)
            async with system.running_nodes(replicas=True) as nodes:
                await asyncio.sleep(SECONDS_UNTIL_REPLICAS_ARE_USED)
                if "cost" in options.parts:
                    await measure_costs(system, options.reads_per_cost, replicas=True)
                if "control" in options.parts:
                    async with without_waits(system.cluster.primary):
                        findings = await look_for_stale_rights(system.cluster, nodes, CONTROL)
                    show("rights, control without waits", summary(findings))
                if "rights" in options.parts:
                    workload = Workload("rights", options.reads, options.changes)
                    show("rights", summary(await look_for_stale_rights(system.cluster, nodes, workload)))
                if "failover" in options.parts:
                    show("failover", (await fail_over(system))[1])


def main() -> None:
    """Run the benchmark, unless this machine lacks what it needs."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cluster")
    parts = ("cost", "control", "rights", "failover")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--reads", type=int, default=100_000, help="reads while rights change")
    parser.add_argument("--changes", type=int, default=1000, help="changes of rights")
    parser.add_argument("--reads-per-cost", type=int, default=9000, help="reads per measurement of the costs")
    if missing := missing_requirements() or missing_services() or missing_namespaces():
        sys.exit(missing)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that every process and namespace is removed
    with suppress(KeyboardInterrupt):
        asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
