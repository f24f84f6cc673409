"""Server processes, and the load on them: connections that each send a request as soon as the last one is answered."""

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

REQUEST_NUMBERS = count()
"""Numbers all requests, so that no two are the same where a query depends on the number."""

Request = Callable[[int], bytes]
"""Returns the bytes of the request with a number."""


class Server:
    """A server process with its workers, and its port."""

    def __init__(self, arguments: list[str], env: Mapping[str, str]) -> None:
        self.port = free_port()
        command = [sys.executable, *arguments]
        self._process = subprocess.Popen([part.format(port=self.port) for part in command], env=dict(env))

    def set_cpu_affinity(self, processors: set[int]) -> None:
        """Restrict the server, and all processes it starts from now on, to some processors."""
        os.sched_setaffinity(self._process.pid, processors)

    def processes(self) -> list[Path]:
        """Return the `/proc` directories of the server and its child processes, where the system has them."""
        directories = [Path(f"/proc/{self._process.pid}")]
        for directory in directories:
            for children in directory.glob("task/*/children"):
                directories += [Path(f"/proc/{child}") for child in children.read_text().split()]
        return directories

    def cpu_seconds(self) -> float:
        """Return the seconds of CPU time used so far."""
        files = (file for process in self.processes() for file in process.glob("task/*/schedstat"))
        return sum(map(_nanoseconds, files)) / 1e9

    def memory(self) -> float:
        """Return the resident memory of the largest process in MB."""
        return max(self.memories())

    def memories(self) -> list[float]:
        """Return the resident memory of each process in MB, the main process first."""
        return [_resident(process / "status") for process in self.processes()]

    def stop(self) -> None:
        """Terminate the process."""
        self._process.terminate()
        self._process.wait(20)


def _nanoseconds(schedstat: Path) -> int:
    try:
        return int(schedstat.read_text().split()[0])
    except (ProcessLookupError, FileNotFoundError):  # the thread has just ended
        return 0


def _resident(status: Path) -> float:
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run: requests per second, latencies in ms, CPU per request in µs, and memory in MB afterwards."""

    rate: float
    p50: float
    p99: float
    cpu_us: float
    memory: float


def post(path: str, body: bytes, token: str, more_headers: str = "") -> bytes:
    """Return a POST request with a JSON body and more headers."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {token}\r\n{more_headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path: str, token: str) -> bytes:
    """Return a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


class LoadConnection(asyncio.Protocol):
    """One connection. `on_response` gets each response and its duration in seconds, and returns whether to continue."""

    def __init__(self, request: Request, on_response: Callable[[bytes, float], bool]) -> None:
        self._request, self._on_response = request, on_response
        self._received = b""
        self._started = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # asyncio's own annotation is wider
        self._send()

    def data_received(self, data: bytes) -> None:
        """Send the next request once the response is complete."""
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            return
        response, self._received = self._received, b""
        if self._on_response(response, time.perf_counter() - self._started):
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Mark the connection as closed, by the server or by `on_response`."""
        self.closed.set_result(None)

    def _send(self) -> None:
        self._started = time.perf_counter()
        self._transport.write(self._request(next(REQUEST_NUMBERS)))


async def load(port: int, request: Request, connections: int, on_response: Callable[[bytes, float], bool]) -> None:
    """Send requests until `on_response` has stopped every connection."""
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(lambda: LoadConnection(request, on_response), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.closed for _, protocol in opened))


async def measure(server: Server, request: Request, connections: int, seconds: float) -> Measurement:
    """Send requests for some seconds; exits the benchmark at the first error response."""
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    def record(response: bytes, duration: float) -> bool:
        if not response.startswith(b"HTTP/1.1 200") or b'"errors"' in response:
            sys.exit(f"the server returned an error: {response[:500]!r}")
        latencies.append(duration)
        return time.perf_counter() < deadline

    before, started = server.cpu_seconds(), time.perf_counter()
    await load(server.port, request, connections, record)
    duration = time.perf_counter() - started
    cpu_us = (server.cpu_seconds() - before) / len(latencies) * 1e6
    cuts = [1e3 * cut for cut in quantiles(latencies, n=100)]
    return Measurement(len(latencies) / duration, cuts[49], cuts[98], cpu_us, server.memory())


async def wait_until_ready(server: Server) -> None:
    """Wait until the server accepts connections; exits the benchmark after 60 seconds."""
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    sys.exit("the server did not start")
