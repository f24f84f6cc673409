"""Servers to put a load on, and the load: so many connections, each asking again as soon as it is answered."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import quantiles

from tests.compat.replay import free_port

NUMBERS = count()
"""The numbers of all requests: what differs in them differs from all before."""

Request = Callable[[int], bytes]
"""A request's bytes, by its number."""


class Server:
    """A serving process, its workers included, and where it answers."""

    def __init__(self, arguments: list[str], env: Mapping[str, str]) -> None:
        self.port = free_port()
        command = [sys.executable, *arguments]
        self._process = subprocess.Popen([part.format(port=self.port) for part in command], env=dict(env))

    def keep_to(self, processors: set[int]) -> None:
        """Has this server, and whatever it starts from here on, run on some processors only."""
        os.sched_setaffinity(self._process.pid, processors)

    def processes(self) -> list[Path]:
        """Of this server and of those that it started, where the system tells of them."""
        found = [Path(f"/proc/{self._process.pid}")]
        for process in found:
            for children in process.glob("task/*/children"):
                found += [Path(f"/proc/{child}") for child in children.read_text().split()]
        return found

    def cpu(self) -> float:
        """Seconds of CPU used so far."""
        paths = (path for one in self.processes() for path in one.glob("task/*/schedstat"))
        return sum(map(_nanoseconds, paths)) / 1e9

    def memory(self) -> float:
        """The largest process' resident memory, in MB."""
        return max(self.memories())

    def memories(self) -> list[float]:
        """The resident memory of each process, in MB; first that of the one that was started."""
        return [_resident(process / "status") for process in self.processes()]

    def stop(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.wait(20)


def _nanoseconds(schedstat: Path) -> int:
    try:
        return int(schedstat.read_text().split()[0])
    except (ProcessLookupError, FileNotFoundError):  # a thread that has just ended
        return 0


def _resident(status: Path) -> float:
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """A run: requests each second, latencies in milliseconds, CPU microseconds for each request, MB after it."""

    rate: float
    p50: float
    p99: float
    cpu: float
    memory: float


def post(path: str, body: bytes, token: str, more: str = "") -> bytes:
    """A POST of JSON as a client sends it, with `more` headers."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token}\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path: str, token: str) -> bytes:
    """A GET as a client sends it."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


class Asking(asyncio.Protocol):
    """One connection; `told` gets each answer's bytes and how long it took in seconds, and says whether to go on."""

    def __init__(self, request: Request, told: Callable[[bytes, float], bool]) -> None:
        self._request, self._told = request, told
        self._got = b""
        self._begun = 0.0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to ask."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # asyncio's own annotation is wider
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Asks again once the answer is whole."""
        self._got += data
        head, found, rest = self._got.partition(b"\r\n\r\n")
        if not found or len(rest) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            return
        answer, self._got = self._got, b""
        if self._told(answer, time.perf_counter() - self._begun):
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The server, or we, had enough."""
        self.over.set_result(None)

    def _ask(self) -> None:
        self._begun = time.perf_counter()
        self._transport.write(self._request(next(NUMBERS)))


async def load(port: int, request: Request, connections: int, told: Callable[[bytes, float], bool]) -> None:
    """Asks until every connection was told to stop."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Asking(request, told), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.gather(*(protocol.over for _, protocol in made))


async def measure(server: Server, request: Request, connections: int, seconds: float) -> Measured:
    """Asks for a while; anything but a good answer ends the benchmark."""
    latencies: list[float] = []
    until = time.perf_counter() + seconds

    def told(answer: bytes, spent: float) -> bool:
        if not answer.startswith(b"HTTP/1.1 200") or b'"errors"' in answer:
            sys.exit(f"a benchmark of errors says nothing: {answer[:500]!r}")
        latencies.append(spent)
        return time.perf_counter() < until

    before, started = server.cpu(), time.perf_counter()
    await load(server.port, request, connections, told)
    spent = time.perf_counter() - started
    cpu = (server.cpu() - before) / len(latencies) * 1e6
    cuts = [1e3 * cut for cut in quantiles(latencies, n=100)]
    return Measured(len(latencies) / spent, cuts[49], cuts[98], cpu, server.memory())


async def wait_for(server: Server) -> None:
    """Until it answers; ends everything where it doesn't within 20 seconds."""
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    sys.exit("nobody answers to be measured")
