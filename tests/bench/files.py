"""Measures the memory of uploads and downloads: `python -m tests.bench.files`.

Four clients upload 10 MB ten times each and then download them. Prints how far the server's resident memory rose above
its value before, and fails if it rose by more than the limit.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import uvloop

from tests.bench.directory import ADMIN, SECRET, fill, token
from tests.bench.load import Server, wait_until_ready
from tests.bench.run import SERVE_ARGUMENTS, temporary_databases
from tests.conftest import make_settings

T = TypeVar("T")
CONTENT = os.urandom(10 * 1024**2)
REPETITIONS, CLIENTS, MAX_GROWTH_MB = 10, 4, 30.0
"""Repetitions per client, concurrent clients, and the limit on the growth of memory."""


async def upload(client: httpx.AsyncClient, content: bytes = CONTENT) -> str:
    """Upload a content and return the path to download it from."""
    response = await client.post("/files?fields=id", files={"file": ("a.bin", content, "application/x-bench")})
    return f"/assets/{response.raise_for_status().json()['data']['id']}"


async def download(client: httpx.AsyncClient, path: str) -> None:
    """Download a content and compare it."""
    if (await client.get(path)).raise_for_status().content != CONTENT:
        sys.exit("the downloaded content differs")


def peak_mb(server: Server) -> float:
    """Return the peak of the server's resident memory, in MB, since `reset_peak`."""
    status = (server.processes()[0] / "status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def reset_peak(server: Server) -> None:
    """Reset the peak of the server's resident memory."""
    (server.processes()[0] / "clear_refs").write_text("5")


async def measure_growth(server: Server, name: str, work: Callable[[], Awaitable[T]]) -> list[T]:
    """Run something several times in each of several clients; print and limit the growth of memory."""
    reset_peak(server)
    before, started = peak_mb(server), time.perf_counter()

    async def repeat() -> list[T]:
        return [await work() for _ in range(REPETITIONS)]

    results = await asyncio.gather(*(repeat() for _ in range(CLIENTS)))
    rate = REPETITIONS * CLIENTS * len(CONTENT) / 1024**2 / (time.perf_counter() - started)
    growth = peak_mb(server) - before
    print(f"{name}: {before:.0f} MB before, at most {growth:.1f} MB more; {rate:.0f} MB/s")
    if growth > MAX_GROWTH_MB:
        sys.exit(f"{name} took more than {MAX_GROWTH_MB:.0f} MB")
    return [result for client_results in results for result in client_results]


async def main() -> None:
    """Measure one server on SQLite with local storage."""
    with tempfile.TemporaryDirectory() as folder:
        async with temporary_databases(["SQLite"]) as urls:
            await fill(make_settings(urls["SQLite"]))
            env = {**os.environ, "DATABASE_URL": urls["SQLite"], "SECRET": SECRET, "LOG_LEVEL": "warn"}
            server = Server(SERVE_ARGUMENTS, {**env, "STORAGE_LOCAL_ROOT": folder})
            try:
                await wait_until_ready(server)
                base_url, headers = f"http://127.0.0.1:{server.port}", {"Authorization": f"Bearer {token(ADMIN)}"}
                async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60) as client:
                    await client.get(await upload(client, b"small"))  # loads the code into memory
                    paths = iter(await measure_growth(server, "uploads", lambda: upload(client)))
                    await measure_growth(server, "downloads", lambda: download(client, next(paths)))
            finally:
                server.stop()


if __name__ == "__main__":
    uvloop.run(main())
