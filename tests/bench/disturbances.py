"""What a load meets when something changes under it: rights, the number of workers, the database going away.

`python -m tests.bench.disturbances`, on PostgreSQL. With `--stop` and `--start` (shell commands) the server itself goes
away; without them only its database, to which nobody may connect for a while. With `--apart` (Linux) the servers of
`scale` have one half of the processors and the load the other, to which `taskset -acp` may send PostgreSQL too.
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
from tests.bench.load import Measured, Server, load, measure, post, wait_for
from tests.bench.queries import QUESTIONS
from tests.bench.run import OURS, SERVE, databases, requests
from tests.conftest import make_settings, run_on_server

CONNECTIONS, CHANGES, AWAY_SECONDS = 16, 20, 2.0
RULED = orjson.dumps({"query": "{ users(limit: 20) { id status } }"})
RIGHTS = "UPDATE directus_permissions SET permissions = $1 WHERE id = 901"


@asynccontextmanager
async def serving(url: str, workers: int, processors: set[int] | None = None) -> AsyncIterator[Server]:
    """Rollcall with so many workers, on all processors or on some."""
    env = {**os.environ, "DATABASE_URL": url, "SECRET": SECRET, "LOG_LEVEL": "error"}
    server = Server([*SERVE, "--workers", str(workers)], env)
    if processors:
        server.keep_to(processors)
    try:
        await wait_for(server)
        await asyncio.sleep(3)  # every worker listens
        yield server
    finally:
        server.stop()


def keep_apart() -> set[int]:
    """Leaves half of the processors to a server, and tells which."""
    every = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, every[len(every) // 2 :])
    return {*every[: len(every) // 2]}


async def scale(url: str, processors: set[int] | None) -> None:
    """How many more answers two workers give than one."""
    for name in ("users_me", "by id", "unseen text"):
        asked, runs = requests(name, QUESTIONS[name])[OURS], dict[int, list[Measured]]()
        for workers in (1, 2) * 3:
            async with serving(url, workers, processors) as server:
                await measure(server, asked, 64, 1)
                runs.setdefault(workers, []).append(await measure(server, asked, 64, 3))
        one, two = (median(run.rate for run in runs[workers]) for workers in (1, 2))
        alone, beside = (median(run.cpu for run in runs[workers]) for workers in (1, 2))
        memory = max(run.memory for run in runs[2])
        print(
            f"workers, {name}: {one:.0f}/s with one, {two:.0f}/s with two: {two / one:.2f} times; {alone:.0f} and "
            f"{beside:.0f} µs of CPU for each, which would be {2 * alone / beside:.2f} times; {memory:.0f} MB each"
        )


class Watched:
    """What a load was answered, and when: (asked, answered, status, body)."""

    def __init__(self) -> None:
        self.answers: list[tuple[float, float, int, bytes]] = []
        self.going = True

    def told(self, answer: bytes, spent: float) -> bool:
        """One more answer; whether to go on."""
        now = time.perf_counter()
        head, _, body = answer.partition(b"\r\n\r\n")
        self.answers.append((now - spent, now, int(head[9:12]), body))
        return self.going

    def p99(self, begun: float, ended: float) -> float:
        """Milliseconds that 99 of 100 answers of that time took at most."""
        spent = [answered - asked for asked, answered, *_ in self.answers if begun <= asked < ended]
        return 1e3 * quantiles(spent, n=100)[98]


async def under_load(server: Server, work: Callable[[Watched], Awaitable[Any]]) -> Watched:
    """Does something while the guest asks for users again and again."""
    watched, request = Watched(), post("/graphql/system", RULED, token(GUEST))
    asking = asyncio.create_task(load(server.port, lambda _: request, CONNECTIONS, watched.told))
    await work(watched)
    watched.going = False
    await asking
    return watched


async def rights(url: str) -> None:
    """Changes the guest's rule again and again: whoever asks afterwards sees the new rows only."""
    connection = await asyncpg.connect(url)
    changes: list[tuple[float, float, str]] = []
    """When each began, when it was done, and the status that it shows."""

    async def change(_: Watched) -> None:
        await asyncio.sleep(2)
        for number in range(CHANGES):
            status = ("suspended", "active")[number % 2]
            begun = time.perf_counter()
            await connection.execute(RIGHTS, orjson.dumps({"status": {"_eq": status}}).decode())
            changes.append((begun, time.perf_counter(), status))
            await asyncio.sleep(0.2)

    async with serving(url, 2) as server:
        watched = await under_load(server, change)
    await connection.close()
    stale, bad = 0, Counter[int]()
    for (_, since, status), (until, *_) in zip(changes, [*changes[1:], (float("inf"), 0, "")], strict=True):
        for asked, answered, code, body in watched.answers:
            if since <= asked and answered <= until:
                seen = {row["status"] for row in orjson.loads(body)["data"]["users"]} if code == 200 else set()
                stale += code == 200 and seen != {status}
                bad[code] += code != 200
    first, last = changes[0][0], changes[-1][0]
    calm, changing = watched.p99(first - 1.5, first), watched.p99(first, last)
    print(
        f"rights: {len(watched.answers)} answers of two workers, {CHANGES} changes, {stale} answers not obeying, "
        f"{sum(bad.values())} errors; p99 {calm:.1f} ms before, {changing:.1f} ms while they change"
    )


async def away(url: str, options: argparse.Namespace) -> None:
    """Takes the database away: 503 until it is back, and then answers as before."""
    moments: list[float] = []

    async def leave(_: Watched) -> None:
        await asyncio.sleep(2)
        await _take_away(url, options.stop)
        moments.append(time.perf_counter())
        await asyncio.sleep(AWAY_SECONDS)
        coming = asyncio.create_task(_bring_back(url, options.start))
        await _until_back(url)
        moments.append(time.perf_counter())
        await coming
        await asyncio.sleep(4)

    async with serving(url, 1) as server:
        watched = await under_load(server, leave)
    gone, back = moments
    codes = Counter(code for _, _, code, _ in watched.answers)
    meanwhile = Counter(code for asked, _, code, _ in watched.answers if gone <= asked < back - 0.1)
    first = orjson.loads(watched.answers[0][3])
    wrong = sum(code == 200 and orjson.loads(body) != first for _, _, code, body in watched.answers)
    last = max((answered for _, answered, code, _ in watched.answers if code != 200), default=back)
    print(
        f"away: all answers {dict(codes)}, while it was away {dict(meanwhile)}, {wrong} wrong; "
        f"the last refusal {last - back:.2f} s after it was back; p99 {watched.p99(0, gone - 0.5):.1f} ms before, "
        f"{watched.p99(back + 2, float('inf')):.1f} ms after"
    )


async def _take_away(url: str, command: str | None) -> None:
    name = url.rsplit("/", 1)[1]
    if command:
        await _run(command)
        return
    await run_on_server(
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )


async def _bring_back(url: str, command: str | None) -> None:
    if command:
        await _run(command)
        return
    await run_on_server(f"ALTER DATABASE {url.rsplit('/', 1)[1]} ALLOW_CONNECTIONS true")


async def _until_back(url: str) -> None:
    while True:
        try:
            await (await asyncpg.connect(url)).close()
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.02)
        else:
            return


async def _run(command: str) -> None:
    process = await asyncio.create_subprocess_shell(command)
    if await process.wait():
        sys.exit(f"{command} failed")


async def main() -> None:
    """All of it, on a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop", help="a command that stops PostgreSQL")
    parser.add_argument("--start", help="a command that starts it")
    parser.add_argument("--only", nargs="+", default=["scale", "rights", "away"])
    parser.add_argument("--apart", action="store_true", help="half of the processors for the server, half for the load")
    options = parser.parse_args()
    async with databases(["PostgreSQL"]) as made:
        if "PostgreSQL" not in made:
            sys.exit("PostgreSQL doesn't answer")
        url = made["PostgreSQL"]
        await fill(make_settings(url))
        if "scale" in options.only:
            await scale(url, keep_apart() if options.apart else None)
        if "rights" in options.only:
            await rights(url)
        if "away" in options.only:
            await away(url, options)


if __name__ == "__main__":
    uvloop.run(main())
