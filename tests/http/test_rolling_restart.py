"""Nodes behind a load balancer are restarted one after another, and no request fails."""

import asyncio
import os
import signal
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress

import httpx
import orjson
import pytest

from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.compat.replay import ROLLCALL, free_port
from tests.conftest import make_settings

CONNECTIONS, NODES = 8, 3
CHECK_SECONDS = 0.1
"""How often the load balancer asks each node whether it is ready."""
SHUTDOWN_DELAY = 1.0
ADMIN_TOKEN = "only for this test"
QUERY = {"query": "{ users_me { id email role { name } } }"}


class Node:
    """A server process that is started again and again at the same port."""

    def __init__(self, settings, log):
        self.url = f"http://127.0.0.1:{free_port()}"
        self._became_ready, self._log = asyncio.Event(), log
        self._env = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": settings.database_url,
            "SHUTDOWN_DELAY": str(SHUTDOWN_DELAY),
            "LOG_LEVEL": "warn",
        }

    @property
    def is_ready(self):
        return self._became_ready.is_set()

    async def start(self):
        command = [*ROLLCALL, "serve", "--port", self.url.rpartition(":")[2]]
        self.process = await asyncio.create_subprocess_exec(*command, env=self._env, stderr=self._log)

    async def stop(self):
        """Send SIGTERM, and return how long the process took to end."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert await self.process.wait() in (0, -signal.SIGTERM)
        return time.monotonic() - started

    async def watch(self):
        """Ask regularly whether the node is ready."""
        while True:
            try:
                async with httpx.AsyncClient() as client:
                    response = await client.get(f"{self.url}/server/ready", timeout=5)
                is_ready = response.status_code == 200
            except httpx.TransportError:
                is_ready = False
            (self._became_ready.set if is_ready else self._became_ready.clear)()
            await asyncio.sleep(CHECK_SECONDS)

    async def until_ready(self):
        async with asyncio.timeout(120):
            await self._became_ready.wait()


class LoadBalancer:
    """Sends requests to the ready nodes in turn, over connections that are kept open; never repeats one."""

    def __init__(self, nodes):
        self.nodes, self.outcomes, self._turn = nodes, Counter[object](), 0

    async def send_forever(self):
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=30) as client:
            while True:
                node = self._next_node()
                try:
                    response = await client.post(f"{node.url}/graphql/system", json=QUERY)
                    outcome = response.status_code if "data" in response.json() else response.text
                except httpx.HTTPError as error:
                    outcome = repr(error)
                self.outcomes[outcome] += 1

    def _next_node(self):
        ready = [node for node in self.nodes if node.is_ready]
        self._turn += 1
        return ready[self._turn % len(ready)]


@asynccontextmanager
async def running(*coroutines):
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(result, asyncio.CancelledError):
                raise result


@asynccontextmanager
async def cluster(folder, count=NODES):
    settings = make_settings(f"sqlite:///{folder / 'cluster.db'}", admin_token=ADMIN_TOKEN)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
    with (folder / "log").open("w") as log:
        nodes = [Node(settings, log) for _ in range(count)]
        for node in nodes:
            await node.start()
        try:
            yield nodes
        finally:
            for node in nodes:
                with suppress(ProcessLookupError):
                    node.process.kill()
                await node.process.wait()


async def request(reader, writer, head, body=b""):
    """Send a request, and return what `response` does."""
    writer.write(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    return await response(reader)


async def response(reader):
    """Read a response, and return its status and whether it announces the end of the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
    return int(head.split()[1]), b"connection: close" in head


@pytest.mark.slow
async def test_a_process_that_is_terminated_answers_every_request_that_was_sent_to_it(tmp_path):
    async with cluster(tmp_path, 1) as (node,), running(node.watch()):
        await node.until_ready()
        address = "127.0.0.1", int(node.url.rpartition(":")[2])
        slow, idle = [await asyncio.open_connection(*address) for _ in range(2)]
        head = f"POST /graphql/system HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n".encode()
        head += b"Content-Type: application/json\r\n"
        body = orjson.dumps(QUERY)
        before = await request(*idle, head, body)
        slow[1].write(head + b"Content-Length: %d\r\n\r\n" % len(body))
        node.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(SHUTDOWN_DELAY / 2)
        reader, writer = await asyncio.open_connection(*address)
        draining = await request(reader, writer, b"GET /server/ready HTTP/1.1\r\nHost: x\r\n")
        after = await request(*idle, head, body)
        await asyncio.sleep(SHUTDOWN_DELAY)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        slow[1].write(body)
        finished = await response(slow[0])
        status = await node.process.wait()
        for _, opened in (slow, idle, (reader, writer)):
            opened.close()

    assert before == (200, False)
    assert draining == (503, True)
    assert after == finished == (200, True)
    assert status in (0, -signal.SIGTERM)


@pytest.mark.nightly
async def test_a_rolling_restart_of_three_nodes_under_load_fails_no_request(tmp_path):
    async with cluster(tmp_path) as nodes, running(*(node.watch() for node in nodes)):
        for node in nodes:
            await node.until_ready()
        balancer, seconds = LoadBalancer(nodes), []
        async with running(*(balancer.send_forever() for _ in range(CONNECTIONS))):
            for node in nodes:
                seconds.append(await node.stop())
                assert not node.is_ready
                await node.start()
                await node.until_ready()

    assert balancer.outcomes.keys() == {200}
    assert all(duration >= SHUTDOWN_DELAY for duration in seconds)
