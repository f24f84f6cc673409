"""All parts of a large installation at once, each in a network namespace: no right is stale, and no write is lost."""

import asyncio
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from tests.distributed.backing_services import missing_services
from tests.distributed.cluster import missing_requirements
from tests.distributed.failover import fail_over
from tests.distributed.hosts import missing_namespaces, running_network
from tests.distributed.stale_rights import Workload, look_for_stale_rights, summary, without_waits
from tests.distributed.system import running_system

pytestmark = [pytest.mark.nightly, pytest.mark.usefixtures("requirements")]

WORKLOADS = [Workload("control", reads=1000, changes=60), Workload("rights", reads=4000, changes=100)]


LISTEN = "import socket, sys; print(socket.create_server((sys.argv[1], 8000)).accept())"


@pytest.fixture(scope="module")
def requirements():
    if missing := missing_requirements() or missing_services() or missing_namespaces():
        pytest.skip(missing)


async def test_no_right_is_stale_and_a_failover_loses_no_write(tmp_path):
    async with running_system(tmp_path) as system, system.running_nodes(replicas=True) as nodes:
        await asyncio.sleep(4)  # two checks until the replicas are used
        async with without_waits(system.cluster.primary):
            control = await look_for_stale_rights(system.cluster, nodes, WORKLOADS[0])
        findings = await look_for_stale_rights(system.cluster, nodes, WORKLOADS[1])
        load, figures = await fail_over(system)
    sys.stdout.write(f"control {summary(control)}\n{summary(findings)}\n{figures}\n")

    assert control.stale
    assert findings.stale == 0
    assert findings.judged > findings.reads / 4
    assert findings.own_writes_missed == 0
    assert figures["missing"] == 0
    assert load.successes[-1] > load.failures[-1]
    assert {status.split()[1] for status in load.statuses} == {"200", "503"}


def test_the_hosts_of_a_network_reach_each_other_and_nothing_of_it_is_left():
    with running_network(["one", "two"]) as hosts:
        one, two = hosts.values()
        process = subprocess.Popen(one.command(sys.executable, "-c", LISTEN, one.address), stdout=subprocess.PIPE)
        sleeper = subprocess.Popen(two.command("sleep", "60"))
        with two.entered():
            connect(one.address).close()
        output, _ = process.communicate(timeout=10)
        inside = namespaces()

    assert two.address in output.decode()
    assert sleeper.wait(5) < 0
    assert {one.namespace, two.namespace} <= inside
    assert not {one.namespace, two.namespace} & namespaces()


def connect(address):
    for _ in range(100):
        with suppress(ConnectionRefusedError):
            return socket.create_connection((address, 8000), timeout=5)
        time.sleep(0.1)
    raise AssertionError("nothing listens")


def namespaces():
    lines = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[0] for line in lines}
