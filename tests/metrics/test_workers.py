"""Metrics of a server with several processes: one of them answers for all."""

import asyncio
import os
import signal
from contextlib import suppress

import httpx

from app.metrics.metrics import Metrics
from app.metrics.shared_folder import STALE_SECONDS, SharedFolder
from tests.compat.replay import free_port
from tests.flows.test_hash_worker import until
from tests.http.test_workers import two_workers, worker_pids
from tests.metrics.readings import SCRAPE, TOKEN, parse, value

REQUESTS = 60
PING = {"endpoint": "/server/ping", "method": "GET", "status": "200"}


async def ping(port, count):
    """Send requests on connections of their own, so that both processes answer some."""

    async def one():
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{port}/server/ping")).status_code

    return [status for _ in range(count // 10) for status in await asyncio.gather(*(one() for _ in range(10)))]


async def read(port):
    async with httpx.AsyncClient() as client:
        return parse((await client.get(f"http://127.0.0.1:{port}/metrics", headers=SCRAPE)).text)


async def until_value(port, expected, name, **labels):
    """Read metrics until one has a value, also while nothing listens yet; return all values that it had."""
    values: list[float] = []
    async with asyncio.timeout(60):
        while not values or values[-1] != expected:
            with suppress(httpx.TransportError):
                values.append(value(await read(port), name, **labels))
            await asyncio.sleep(0.1)
    return values


async def test_either_process_reports_the_requests_of_both_and_never_fewer_than_before(tmp_path):
    async with two_workers(tmp_path, METRICS_TOKEN=TOKEN) as (port, parent):
        await until_value(port, 2, "processes")
        before = value(await read(port), "http_requests_total", **PING)
        assert await ping(port, REQUESTS) == [200] * REQUESTS
        counts = await until_value(port, before + REQUESTS, "http_requests_total", **PING)
        os.kill(worker_pids(parent)[0], signal.SIGKILL)
        await ping(port, 10)
        counts += await until_value(port, before + REQUESTS + 10, "http_requests_total", **PING)

    assert counts == sorted(counts)


async def test_the_parent_serves_the_port_of_metrics_and_removes_their_folder(tmp_path):
    metrics_port = free_port()
    async with two_workers(tmp_path, METRICS_PORT=str(metrics_port), TMPDIR=str(tmp_path)) as (port, parent):
        await until_value(metrics_port, 2, "processes")
        await ping(port, REQUESTS)
        await until_value(metrics_port, REQUESTS, "http_requests_total", **PING)
        folders = list(tmp_path.glob("rollcall-metrics-*"))
        os.kill(parent, signal.SIGTERM)
        await until(lambda: not folders[0].exists())

    assert len(folders) == 1


def test_gauges_of_a_process_that_no_longer_writes_do_not_count(tmp_path):
    metrics, running, ended = Metrics(), SharedFolder(tmp_path), SharedFolder(tmp_path)
    metrics.rejections.add("overload")
    for folder in (running, ended):
        folder.write(metrics.snapshot())
    both = {family.description.name: family.values for family in running.read().families}
    file = ended.file
    os.utime(file, (file.stat().st_atime, file.stat().st_mtime - STALE_SECONDS - 1))
    one = {family.description.name: family.values for family in running.read().families}

    assert (both["rollcall_processes"], one["rollcall_processes"]) == ({(): [2]}, {(): [1]})
    assert both["rollcall_rejections"] == one["rollcall_rejections"] == {("overload",): [2]}
