"""How far from a bare handler: `make bench` alternates between the two and prints ratios; only those count.

Both serve from one process over the same database of 2,000 users in 5 roles; 16 connections ask. CPU is the serving
process' own, for each request.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

import orjson

from app.core.config import Settings
from app.flows.bootstrap import bootstrap
from app.flows.transfer import import_rows
from app.testing import open_system
from tests.compat.replay import free_port
from tests.conftest import POSTGRESQL, admin_url, create_database, make_settings, run_on_server
from tests.world import WORLD, Rows, static_token, uid

USERS, CONNECTIONS, SECONDS, ROUNDS = 2_000, 16, 1.5, 3
QUERIES = {
    "me": "{ users_me { id email } }",
    "list": "{ users(limit: 100) { id email role { name } } }",
}
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: requests each second, CPU microseconds for each, the median latency in milliseconds."""

    rate: float
    cpu: float
    latency: float


class Server:
    """A serving process, and where it answers."""

    def __init__(self, arguments: list[str], env: dict[str, str]) -> None:
        self.port = free_port()
        command = [sys.executable, *arguments]
        self._process = subprocess.Popen([part.format(port=self.port) for part in command], env=env)

    def cpu(self) -> float:
        """Seconds of CPU the process has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def stop(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.wait(20)


async def measure(server: Server, path: str, body: bytes) -> Measured:
    """Asks over 16 connections for a while."""
    request = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {static_token('ada')}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    latencies: list[float] = []
    before, started = server.cpu(), time.perf_counter()
    await asyncio.gather(*(_ask(server.port, request, started + SECONDS, latencies) for _ in range(CONNECTIONS)))
    spent = time.perf_counter() - started
    cpu = (server.cpu() - before) / len(latencies) * 1e6
    return Measured(len(latencies) / spent, cpu, median(latencies) * 1e3)


async def _ask(port: int, request: bytes, until: float, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (begun := time.perf_counter()) < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if b" 200 " not in head[:16] or b'"errors"' in answer:
            sys.exit(f"a benchmark of errors says nothing: {answer[:300]!r}")
        latencies.append(time.perf_counter() - begun)
    writer.close()


async def fill(settings: Settings) -> None:
    """The named world, and many more people in it."""
    roles = [row["id"] for row in WORLD["directus_roles"][:5]]
    many = [{"id": str(uuid4()), "email": f"{n}@example.com", "role": roles[n % 5]} for n in range(USERS)]
    rows: Rows = {"directus_users": many}
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await import_rows(system.database, WORLD)
        await system.load(rows)


async def compare(url: str) -> None:
    """Both handlers over one database, turn by turn."""
    await fill(make_settings(url))
    env = {**os.environ, "DATABASE_URL": url, "SECRET": uid("bench"), "LOG_LEVEL": "warn"}
    serve = "from app.cli import main; main()"
    ours = Server(["-c", serve, "serve", "--port", "{port}"], env)
    quiet = ["--log-level", "warning", "--no-access-log", "--lifespan", "on"]
    bare = Server(["-m", "uvicorn", "tests.bench.bare:app", "--port", "{port}", *quiet], env)
    try:
        for server in (ours, bare):
            await asyncio.to_thread(wait_for_port, server.port)
        for name, query in QUERIES.items():
            body = orjson.dumps({"query": query})
            runs = [
                (await measure(bare, f"/{name}", b"{}"), await measure(ours, "/graphql/system", body))
                for _ in range(ROUNDS)
            ]
            _print(name, runs)
    finally:
        ours.stop()
        bare.stop()


def wait_for_port(port: int) -> None:
    """Until somebody listens there."""
    for _ in range(100):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    sys.exit("nobody answers to be measured")


def _print(name: str, runs: list[tuple[Measured, Measured]]) -> None:
    theirs, ours = (
        Measured(*(median(getattr(run[side], field) for run in runs) for field in ("rate", "cpu", "latency")))
        for side in (0, 1)
    )
    ratio = median(run[0].cpu / run[1].cpu for run in runs)
    print(
        f"  {name:5} bare {theirs.rate:7.0f}/s {theirs.cpu:6.0f} µs {theirs.latency:6.1f} ms"
        f"   rollcall {ours.rate:6.0f}/s {ours.cpu:6.0f} µs {ours.latency:6.1f} ms   by CPU {ratio:.2f} of bare"
    )


def main() -> None:
    """SQLite, then PostgreSQL where it answers."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"SQLite, {USERS} users, {CONNECTIONS} connections, median of {ROUNDS} runs", flush=True)
        asyncio.run(compare(f"sqlite:///{folder}/bench.db"))
    if not POSTGRESQL:
        print("PostgreSQL was left out: none answers")
        return
    name = f"rollcall_bench_{uuid4().hex[:8]}"
    print("PostgreSQL", flush=True)
    asyncio.run(create_database(name))
    try:
        asyncio.run(compare(admin_url(name)))
    finally:
        asyncio.run(run_on_server(f"DROP DATABASE {name} WITH (FORCE)"))


if __name__ == "__main__":
    main()
