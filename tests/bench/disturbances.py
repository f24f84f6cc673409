"""Measures a server under load while permissions change, with one and two workers, and while the database is down.

`python -m tests.bench.disturbances`, on PostgreSQL. With `--stop` and `--start` (shell commands) the server itself is
stopped; otherwise only its database refuses connections for a while. With `--split-cpus` (Linux) the servers of `scale`
run on one half of the processors and the load on the other, to which `taskset -acp` may move PostgreSQL too.
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median, quantiles
from typing import Any

import asyncpg
import orjson
import uvloop

from tests.bench.directory import GUEST, SECRET, fill, token
from tests.bench.load import Measurement, Server, load, measure, post, wait_until_ready
from tests.bench.queries import QUERIES
from tests.bench.run import ROLLCALL, SERVE_ARGUMENTS, make_requests, temporary_databases
from tests.conftest import make_settings, run_on_server

CONNECTIONS, CHANGE_COUNT, OUTAGE_SECONDS = 16, 20, 2.0
QUERY = orjson.dumps({"query": "{ users(limit: 20) { id status } }"})
UPDATE_RULE_SQL = "UPDATE directus_permissions SET permissions = $1 WHERE id = 901"


@asynccontextmanager
async def running_server(url: str, workers: int, processors: set[int] | None = None) -> AsyncIterator[Server]:
    """Run Rollcall with this many workers, on all processors or on some."""
    env = {**os.environ, "DATABASE_URL": url, "SECRET": SECRET, "LOG_LEVEL": "error"}
    server = Server([*SERVE_ARGUMENTS, "--workers", str(workers)], env)
    if processors:
        server.set_cpu_affinity(processors)
    try:
        await wait_until_ready(server)
        await asyncio.sleep(3)  # until every worker listens
        yield server
    finally:
        server.stop()


def split_processors() -> set[int]:
    """Move this process to one half of the processors and return the other half."""
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[len(processors) // 2 :])
    return {*processors[: len(processors) // 2]}


async def scale(url: str, processors: set[int] | None) -> None:
    """Measure how many more requests two workers serve than one."""
    for name in ("users_me", "by id", "unseen text"):
        request, runs = make_requests(name, QUERIES[name])[ROLLCALL], dict[int, list[Measurement]]()
        for workers in (1, 2) * 3:
            async with running_server(url, workers, processors) as server:
                await measure(server, request, 64, 1)
                runs.setdefault(workers, []).append(await measure(server, request, 64, 3))
        one_rate, two_rate = (median(run.rate for run in runs[workers]) for workers in (1, 2))
        one_cpu, two_cpu = (median(run.cpu_us for run in runs[workers]) for workers in (1, 2))
        memory = max(run.memory for run in runs[2])
        print(
            f"workers, {name}: {one_rate:.0f}/s with one, {two_rate:.0f}/s with two ({two_rate / one_rate:.2f} times); "
            f"{one_cpu:.0f} and {two_cpu:.0f} µs of CPU per request, which allows {2 * one_cpu / two_cpu:.2f} times; "
            f"{memory:.0f} MB each"
        )


class Recorder:
    """Records the responses to a load as (sent, received, status, body), until `is_running` is false."""

    def __init__(self) -> None:
        self.responses: list[tuple[float, float, int, bytes]] = []
        self.is_running = True

    def record(self, response: bytes, duration: float) -> bool:
        """Record a response; return whether to continue."""
        now = time.perf_counter()
        head, _, body = response.partition(b"\r\n\r\n")
        self.responses.append((now - duration, now, int(head[9:12]), body))
        return self.is_running

    def p99(self, start: float, end: float) -> float:
        """Return the 99th percentile, in ms, of the requests sent in a period."""
        durations = [received - sent for sent, received, *_ in self.responses if start <= sent < end]
        return 1e3 * quantiles(durations, n=100)[98]


async def run_under_load(server: Server, work: Callable[[Recorder], Awaitable[Any]]) -> Recorder:
    """Run something while the guest queries users continuously."""
    recorder, request = Recorder(), post("/graphql/system", QUERY, token(GUEST))
    load_task = asyncio.create_task(load(server.port, lambda _: request, CONNECTIONS, recorder.record))
    await work(recorder)
    recorder.is_running = False
    await load_task
    return recorder


async def change_permissions(url: str) -> None:
    """Change the guest's rule repeatedly: later requests must return only rows that the new rule allows."""
    connection = await asyncpg.connect(url)
    changes: list[tuple[float, float, str]] = []
    """The start and end of each change, and the status that its rule allows."""

    async def change(_: Recorder) -> None:
        await asyncio.sleep(2)
        for number in range(CHANGE_COUNT):
            status = ("suspended", "active")[number % 2]
            started = time.perf_counter()
            await connection.execute(UPDATE_RULE_SQL, orjson.dumps({"status": {"_eq": status}}).decode())
            changes.append((started, time.perf_counter(), status))
            await asyncio.sleep(0.2)

    async with running_server(url, 2) as server:
        recorder = await run_under_load(server, change)
    await connection.close()
    stale, errors = 0, Counter[int]()
    for (_, since, status), (until, *_) in zip(changes, [*changes[1:], (float("inf"), 0, "")], strict=True):
        for sent, received, status_code, body in recorder.responses:
            if since <= sent and received <= until:
                statuses = (
                    {row["status"] for row in orjson.loads(body)["data"]["users"]} if status_code == 200 else set()
                )
                stale += status_code == 200 and statuses != {status}
                errors[status_code] += status_code != 200
    first_change, last_change = changes[0][0], changes[-1][0]
    p99_before, p99_during = recorder.p99(first_change - 1.5, first_change), recorder.p99(first_change, last_change)
    print(
        f"permissions: {len(recorder.responses)} responses of two workers, {CHANGE_COUNT} changes, {stale} stale, "
        f"{sum(errors.values())} errors; p99 {p99_before:.1f} ms before, {p99_during:.1f} ms during the changes"
    )


async def take_database_down(url: str, options: argparse.Namespace) -> None:
    """Stop the database for a while: requests fail with 503 until it is back, and then succeed."""
    times: list[float] = []

    async def interrupt(_: Recorder) -> None:
        await asyncio.sleep(2)
        await _stop_database(url, options.stop)
        times.append(time.perf_counter())
        await asyncio.sleep(OUTAGE_SECONDS)
        start_task = asyncio.create_task(_start_database(url, options.start))
        await _wait_for_database(url)
        times.append(time.perf_counter())
        await start_task
        await asyncio.sleep(4)

    async with running_server(url, 1) as server:
        recorder = await run_under_load(server, interrupt)
    stopped, started = times
    codes = Counter(status_code for _, _, status_code, _ in recorder.responses)
    codes_during = Counter(
        status_code for sent, _, status_code, _ in recorder.responses if stopped <= sent < started - 0.1
    )
    first = orjson.loads(recorder.responses[0][3])
    wrong_responses = sum(
        status_code == 200 and orjson.loads(body) != first for _, _, status_code, body in recorder.responses
    )
    last_error = max(
        (received for _, received, status_code, _ in recorder.responses if status_code != 200), default=started
    )
    print(
        f"outage: all responses {dict(codes)}, during the outage {dict(codes_during)}, {wrong_responses} wrong; "
        f"last error {last_error - started:.2f} s after the outage; "
        f"p99 {recorder.p99(0, stopped - 0.5):.1f} ms before, {recorder.p99(started + 2, float('inf')):.1f} ms after"
    )


async def _stop_database(url: str, command: str | None) -> None:
    name = url.rsplit("/", 1)[1]
    if command:
        await _run_command(command)
        return
    await run_on_server(
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )


async def _start_database(url: str, command: str | None) -> None:
    if command:
        await _run_command(command)
        return
    await run_on_server(f"ALTER DATABASE {url.rsplit('/', 1)[1]} ALLOW_CONNECTIONS true")


async def _wait_for_database(url: str) -> None:
    while True:
        try:
            await (await asyncpg.connect(url)).close()
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.02)
        else:
            return


async def _run_command(command: str) -> None:
    process = await asyncio.create_subprocess_shell(command)
    if await process.wait():
        sys.exit(f"{command} failed")


async def main() -> None:
    """Run all parts on a new database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop", help="a command that stops PostgreSQL")
    parser.add_argument("--start", help="a command that starts it")
    parser.add_argument("--only", nargs="+", default=["scale", "permissions", "outage"])
    parser.add_argument(
        "--split-cpus", action="store_true", help="half of the processors for the server, half for the load"
    )
    options = parser.parse_args()
    async with temporary_databases(["PostgreSQL"]) as urls:
        if "PostgreSQL" not in urls:
            sys.exit("PostgreSQL is unavailable")
        url = urls["PostgreSQL"]
        await fill(make_settings(url))
        if "scale" in options.only:
            await scale(url, split_processors() if options.split_cpus else None)
        if "permissions" in options.only:
            await change_permissions(url)
        if "outage" in options.only:
            await take_database_down(url, options)


if __name__ == "__main__":
    uvloop.run(main())
