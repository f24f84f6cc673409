"""Ten thousand slow connections do not keep an honest client from being answered.

How long it waits is recorded, not asserted: it depends on the processors that are left.
"""

import asyncio
import os
import resource
import sys
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest

from tests.security.test_hostile_requests import IDLE_REQUESTS, MIN_REQUESTS, honest, p99, serving

CONNECTIONS, RESERVED_FILES = 10_000, 500
PAUSE_SECONDS = 2.0
HEAD, BODY = b"GET /users HTTP/1.1\r\nHost: x\r\n", b"POST /graphql/system HTTP/1.1\r\nContent-Length: 900000\r\n\r\n"
ATTACKER_ADDRESS = "127.0.0.2"


def raise_file_limit():
    """Allow as many open files as the system does; return how many connections that is enough for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(CONNECTIONS, hard - RESERVED_FILES)


async def keep_slow(host, port, number, opened):
    """Send a head or a body byte by byte, and connect again whenever the server closes the connection."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(host, port, local_addr=(ATTACKER_ADDRESS, 0))
            opened.add(number)
            try:
                writer.write(BODY if number % 2 else HEAD)
                while not writer.transport.is_closing():
                    await asyncio.sleep(PAUSE_SECONDS)
                    writer.write(b"x")
            finally:
                writer.close()
        await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def slow_connections(base_url, count):
    """Keep this many slow connections open, in a process of their own."""
    arguments = (sys.executable, "-m", "tests.security.test_slow_connections", base_url, str(count))
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    try:
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 240)
        yield
    finally:
        process.kill()
        await process.wait()


async def attack(base_url, count):
    """Open the connections, report when all have been open once, and continue until killed."""
    parts, opened = urlsplit(base_url), set[int]()
    tasks = []
    for number in range(count):
        tasks.append(asyncio.ensure_future(keep_slow(parts.hostname, parts.port, number, opened)))
        if number % 100 == 0:
            await asyncio.sleep(0.05)
    while len(opened) < count:  # noqa: ASYNC110  # it counts what other tasks do
        await asyncio.sleep(0.1)
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.gather(*tasks)


def connected(base_url):
    """Return a client that does not reuse a connection which the server may be about to close."""
    return httpx.AsyncClient(base_url=base_url, timeout=60, limits=httpx.Limits(keepalive_expiry=1.0))


@pytest.mark.nightly  # half a minute on each database
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one loopback address")
async def test_an_honest_client_is_answered_beside_ten_thousand_slow_connections(writable_db, request):
    count = raise_file_limit()
    async with serving(writable_db) as base_url, connected(base_url) as client:
        await honest(client, 50)
        idle = p99(await honest(client, IDLE_REQUESTS))
        async with slow_connections(base_url, count):
            busy = p99(await honest(client, IDLE_REQUESTS + MIN_REQUESTS))
    measured = {"connections": count, "idle_ms": idle * 1000, "p99_ms": busy * 1000}
    request.node.user_properties += [(name, round(value, 1)) for name, value in measured.items()]


if __name__ == "__main__":
    raise_file_limit()
    asyncio.run(attack(sys.argv[1], int(sys.argv[2])))
