"""Rollcall nodes for the tests, each a process of its own, and clients that put them under load."""

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.compat.replay import ROLLCALL, free_port
from tests.distributed.hosts import LOCALHOST, Host

ADMIN_TOKEN = "a-token-only-for-tests"
START_SECONDS = 120
SHORT_KEEPALIVE = httpx.Limits(keepalive_expiry=2)
"""For clients: a node closes a connection that is idle for 5 s, also at the moment when a request is sent on it."""
ENVIRONMENT = {
    "SECRET": "a secret that only tests know and use",
    "ADMIN_TOKEN": ADMIN_TOKEN,
    "ADMIN_PASSWORD": "a password only tests know",
    "LOG_LEVEL": "warn",
    "SHUTDOWN_TIMEOUT": "1",
    "HASH_MEMORY_COST": "64",
    "HASH_TIME_COST": "1",
    "HASH_PARALLELISM": "1",
    "DB_POOL_SIZE": "4",
}


async def run_rollcall(url: str, *arguments: str) -> None:
    env = {**ENVIRONMENT, "PATH": os.environ["PATH"], "DATABASE_URL": url}
    process = await asyncio.create_subprocess_exec(*ROLLCALL, *arguments, env=env, stdout=subprocess.DEVNULL)
    assert await process.wait() == 0


@asynccontextmanager
async def running_process_on(
    host: Host, folder: Path, url: str, **settings: str
) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """Run `rollcall serve` on a host, yield an admin's client and the process id, and kill it when the block ends.

    Its log is the file `node-PORT.log` in the folder.
    """
    port = free_port()
    env = {**ENVIRONMENT, "PATH": os.environ["PATH"], "DATABASE_URL": url, **settings}
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    base_url = f"http://{host.address}:{port}"
    with (folder / f"node-{port}.log").open("w") as log:
        command = host.command(*ROLLCALL, "serve", "--host", host.address, "--port", port)
        process = await asyncio.create_subprocess_exec(*command, env=env, stderr=log, start_new_session=True)
    try:
        async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=90, limits=SHORT_KEEPALIVE) as client:
            await until_healthy(client)
            yield client, process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


def running_process(
    folder: Path, url: str, **settings: str
) -> AbstractAsyncContextManager[tuple[httpx.AsyncClient, int]]:
    """Run a process as `running_process_on` does, on this machine."""
    return running_process_on(LOCALHOST, folder, url, **settings)


@asynccontextmanager
async def running_node(folder: Path, url: str, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run a process as `running_process` does, and yield only the client."""
    async with running_process(folder, url, **settings) as (client, _):
        yield client


@asynccontextmanager
async def running_nodes(folder: Path, count: int, url: str, **settings: str) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        nodes = [running_node(folder, url, **settings) for _ in range(count)]
        yield [await stack.enter_async_context(node) for node in nodes]


async def until_healthy(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            with suppress(httpx.TransportError):
                if (await client.get("/server/health")).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.1)


@dataclass
class Load:
    """What a load has seen: statuses, acknowledged writes, and when requests failed."""

    statuses: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    successes: list[float] = field(default_factory=list)
    without_retry_after: int = 0

    @property
    def seconds_without_answers(self) -> float:
        """How long no request at all succeeded, at most."""
        return max((later - earlier for earlier, later in zip(self.successes, self.successes[1:], strict=False)))

    def note(self, kind: str, response: httpx.Response) -> None:
        self.statuses[f"{kind} {response.status_code}"] += 1
        now = time.monotonic()
        (self.successes if response.is_success else self.failures).append(now)
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" not in response.headers:
            self.without_retry_after += 1


async def write_users(load: Load, node: httpx.AsyncClient, prefix: str, stopped: asyncio.Event) -> None:
    """Create users one after the other until stopped, and note whose creation was acknowledged."""
    number = 0
    while not stopped.is_set():
        number += 1
        email = f"{prefix}-{number}@example.com"
        response = await node.post("/users", json={"email": email})
        load.note("write", response)
        if response.is_success:
            load.acknowledged.append(email)
        elif "may or may not be saved" in response.text:
            load.unknown.append(email)
        await asyncio.sleep(0 if response.is_success else 0.05)


async def read_users(load: Load, node: httpx.AsyncClient, stopped: asyncio.Event) -> None:
    while not stopped.is_set():
        response = await node.get("/users/me?fields=id,email")
        load.note("read", response)
        await asyncio.sleep(0 if response.is_success else 0.05)


@asynccontextmanager
async def loaded(workers: Sequence[Callable[[asyncio.Event], Awaitable[None]]]) -> AsyncIterator[None]:
    """Run workers while the block runs; each gets the event that stops it."""
    stopped = asyncio.Event()
    tasks = [asyncio.ensure_future(worker(stopped)) for worker in workers]
    try:
        yield
    finally:
        stopped.set()
        await asyncio.gather(*tasks)


class Connection:
    """A connection that sends the same GET request again and again, with little work for the client."""

    def __init__(self, node: httpx.AsyncClient, path: str, token: str) -> None:
        self._host, self._port = str(node.base_url.host), node.base_url.port
        head = f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._request = head.encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self) -> tuple[int, bytes]:
        """Send the request, read the response, and return its status and its body."""
        if self._streams is None or self._streams[0].at_eof():  # the server closes connections that are idle
            self.close()
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
