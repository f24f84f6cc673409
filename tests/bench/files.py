"""What memory uploads and downloads take: `python -m tests.bench.files`.

Four clients upload 10 MB ten times each, and then download them; how far the server's resident memory rose meanwhile
above what it was before is printed, and ends the benchmark with an error where that is more than it may be.
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

from tests.bench.directory import CHIEF, SECRET, fill, token
from tests.bench.load import Server, wait_for
from tests.bench.run import SERVE, databases
from tests.conftest import make_settings

T = TypeVar("T")
CONTENT = os.urandom(10 * 1024**2)
TIMES, CLIENTS, MOST = 10, 4, 30.0
"""How often each is done, by how many at once, and by how many MB memory may grow."""


async def upload(client: httpx.AsyncClient, content: bytes = CONTENT) -> str:
    """Uploads a content; the path that it is to be had at."""
    answer = await client.post("/files?fields=id", files={"file": ("a.bin", content, "application/x-bench")})
    return f"/assets/{answer.raise_for_status().json()['data']['id']}"


async def download(client: httpx.AsyncClient, path: str) -> None:
    """Downloads a content, and compares it."""
    if (await client.get(path)).raise_for_status().content != CONTENT:
        sys.exit("what came back isn't what was sent")


def peak(server: Server) -> float:
    """The most memory that the process had at once since `forget_peak`, in MB."""
    status = (server.processes()[0] / "status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def forget_peak(server: Server) -> None:
    """From here on the peak counts anew."""
    (server.processes()[0] / "clear_refs").write_text("5")


async def grown(server: Server, name: str, work: Callable[[], Awaitable[T]]) -> list[T]:
    """Does something so many times at so many connections; prints, and limits, how memory grew meanwhile."""
    forget_peak(server)
    before, started = peak(server), time.perf_counter()

    async def again_and_again() -> list[T]:
        return [await work() for _ in range(TIMES)]

    done = await asyncio.gather(*(again_and_again() for _ in range(CLIENTS)))
    rate = TIMES * CLIENTS * len(CONTENT) / 1024**2 / (time.perf_counter() - started)
    more = peak(server) - before
    print(f"{name}: {before:.0f} MB before, {more:.1f} MB more at most; {rate:.0f} MB/s")
    if more > MOST:
        sys.exit(f"{name} took more than {MOST:.0f} MB")
    return [one for several in done for one in several]


async def main() -> None:
    """One server on SQLite, with a folder."""
    with tempfile.TemporaryDirectory() as folder:
        async with databases(["SQLite"]) as made:
            await fill(make_settings(made["SQLite"]))
            env = {**os.environ, "DATABASE_URL": made["SQLite"], "SECRET": SECRET, "LOG_LEVEL": "warn"}
            server = Server(SERVE, {**env, "STORAGE_LOCAL_ROOT": folder})
            try:
                await wait_for(server)
                address, mine = f"http://127.0.0.1:{server.port}", {"Authorization": f"Bearer {token(CHIEF)}"}
                async with httpx.AsyncClient(base_url=address, headers=mine, timeout=60) as client:
                    await client.get(await upload(client, b"small"))  # so that the code itself is in memory
                    paths = iter(await grown(server, "uploads", lambda: upload(client)))
                    await grown(server, "downloads", lambda: download(client, next(paths)))
            finally:
                server.stop()


if __name__ == "__main__":
    uvloop.run(main())
