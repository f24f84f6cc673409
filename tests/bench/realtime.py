"""Measures the delivery of realtime events by one server process: `python -m tests.bench.realtime`.

For each kind of rights, subscribers connect, each a user of its own, and a program updates so many rows per second with
SQL. Printed are the memory of the server per subscriber, the time from a write to the frames that show it, and the CPU
time of the server per frame, and per event and subscriber. The database, the writer and the subscribers run on the same
machine. An open file limit of twice the subscribers is needed.
"""

import argparse
import asyncio
import os
import random
import resource
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from statistics import quantiles
from typing import Any

import asyncpg
import uvloop

from app.core.clock import utc_now
from app.core.tokens import sign_access_token
from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.base_data import Rows, uid
from tests.bench.directory import SECRET
from tests.bench.load import Server, wait_until_ready
from tests.bench.run import SERVE_ARGUMENTS, temporary_databases
from tests.bench.subscribers import DIRECTUS, GRAPHQL, TIMEOUT_SECONDS, Received, Subscribers
from tests.conftest import make_settings

HEADINGS = (
    "database",
    "protocol",
    "rights",
    "subscribers",
    "KB each",
    "writes/s",
    "rows/s",
    "frames/s",
    "p50 ms",
    "p99 ms",
    "CPU",
    "µs/frame",
    "µs/event and subscriber",
    "MB after",
    "closed",
)


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of the subscribers: their roles, and the rule on users in the policy of each role.

    Without `rule_of`, all roles have one policy with `rule`.
    """

    roles: int = 1
    rule: dict[str, Any] | None = None
    rule_of: Callable[[int], dict[str, Any]] | None = None


def rights_by_name(shapes: int) -> dict[str, Rights]:
    """Return the kinds of rights that are measured."""
    return {
        "all": Rights(rule={"status": {"_eq": "active"}}),
        "own row": Rights(rule={"id": {"_eq": "$CURRENT_USER"}}),
        "own role": Rights(roles=100, rule={"role": {"_eq": "$CURRENT_ROLE"}}),
        f"{shapes} rules": Rights(roles=shapes, rule_of=lambda number: {"role": {"_eq": _role(number)}}),
        f"all, {shapes} rules": Rights(roles=shapes, rule_of=lambda number: {"email": {"_neq": f"nobody-{number}"}}),
    }


def _role(number: int) -> str:
    return uid(f"role-{number}")


def _user(number: int) -> str:
    return uid(f"subscriber-{number}")


def make_rows(rights: Rights, subscribers: int) -> Rows:
    """Return a directory with these subscribers, spread over the roles."""
    policies = range(rights.roles if rights.rule_of else 1)
    return {
        "directus_roles": [{"id": _role(number), "name": f"Role {number}"} for number in range(rights.roles)],
        "directus_policies": [{"id": uid(f"policy-{number}"), "name": f"Policy {number}"} for number in policies],
        "directus_permissions": [
            {
                "id": 1000 + number,
                "policy": uid(f"policy-{number}"),
                "collection": "directus_users",
                "action": "read",
                "fields": "id,title",
                "permissions": rights.rule_of(number) if rights.rule_of else rights.rule,
            }
            for number in policies
        ],
        "directus_access": [
            {
                "id": uid(f"access-{number}"),
                "policy": uid(f"policy-{number if rights.rule_of else 0}"),
                "role": _role(number),
                "user": None,
            }
            for number in range(rights.roles)
        ],
        "directus_users": [
            {
                "id": _user(number),
                "email": f"subscriber-{number}@example.com",
                "role": _role(number % rights.roles),
                "status": "active",
            }
            for number in range(subscribers)
        ],
    }


async def fill(url: str, rights: Rights, subscribers: int) -> None:
    """Create the tables and insert the rows."""
    settings = make_settings(url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await system.load(make_rows(rights, subscribers))


UPDATE = "UPDATE directus_users SET title = '{value}' WHERE id = '{id}'"


async def write(url: str, rate: float, seconds: float, subscribers: int) -> int:
    """Update random rows at a rate, each in a transaction of its own; return how many were updated."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.partition(":///")[2], isolation_level=None, check_same_thread=False)) as file:
            file.execute("PRAGMA busy_timeout = 10000")
            return await _write(lambda sql: asyncio.to_thread(file.execute, sql), rate, seconds, subscribers)
    connection = await asyncpg.connect(url)
    try:
        return await _write(connection.execute, rate, seconds, subscribers)
    finally:
        await connection.close()


async def _write(execute: Callable[[str], Awaitable[Any]], rate: float, seconds: float, subscribers: int) -> int:
    written, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        if written >= elapsed * rate:
            await asyncio.sleep(max(0.0, written / rate - elapsed))
            continue
        key = _user(random.randrange(subscribers))  # no secret
        await execute(UPDATE.format(value=time.monotonic_ns(), id=key))
        written += 1
    return written


async def read_metrics(server: Server) -> dict[str, float]:
    """Return the metrics of the server that have no labels."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {SECRET}\r\n\r\n".encode()
    )
    lines = (await reader.read()).decode().splitlines()
    writer.close()
    pairs = (line.split(" ") for line in lines if line.startswith("rollcall_realtime_"))
    return {name.removeprefix("rollcall_realtime_"): float(value) for name, value in pairs}


async def until_subscribed(server: Server, subscribers: int) -> None:
    """Wait until all subscriptions have been started.

    Raises:
        TimeoutError: Some have not, perhaps because the server has refused them.
    """
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (started := (await read_metrics(server))["subscriptions"]) < subscribers:
            print(f"{started:.0f} of {subscribers} subscriptions have been started", file=sys.stderr, flush=True)
            await asyncio.sleep(2)


async def until_delivered(server: Server) -> None:
    """Wait until the server has delivered all events."""
    await asyncio.sleep(2)
    changes = -1.0
    while changes != (metrics := await read_metrics(server)).get("changes_total", 0) or metrics["feed_lag_seconds"] > 2:
        changes = metrics.get("changes_total", 0)
        await asyncio.sleep(2)


async def measure(server: Server, subscribers: Subscribers, url: str, rate: float, options: argparse.Namespace) -> Any:
    """Write for some seconds; return the rate of writes, the CPU per second, and what was received."""
    subscribers.take()
    before, started = server.cpu_seconds(), time.perf_counter()
    written = await write(url, rate, options.seconds, options.subscribers)
    duration = time.perf_counter() - started
    await until_delivered(server)
    return written, duration, server.cpu_seconds() - before, subscribers.take()


def start_server(url: str, subscribers: int) -> Server:
    """Start a server that accepts so many connections."""
    limits = (
        "WEBSOCKETS_GRAPHQL_CONN_LIMIT",
        "WEBSOCKETS_REST_CONN_LIMIT",
        "WEBSOCKETS_USER_CONN_LIMIT",
        "MAX_CONNECTIONS",
    )
    env = {**os.environ, "DATABASE_URL": url, "SECRET": SECRET, "LOG_LEVEL": "warn", "WEBSOCKETS_ENABLED": "true"}
    env["METRICS_TOKEN"] = SECRET
    return Server(SERVE_ARGUMENTS, {**env, **dict.fromkeys(limits, str(subscribers * 2 + 100))})


async def run(kind: str, url: str, name: str, rights: Rights, options: argparse.Namespace) -> None:
    """Measure one kind of rights at all rates, with one server and the same subscribers."""
    await fill(url, rights, options.subscribers)
    now = utc_now()
    tokens = [
        sign_access_token(SECRET, _user(number), ttl=timedelta(days=1), now=now)
        for number in range(options.subscribers)
    ]
    server = start_server(url, options.subscribers)
    try:
        await wait_until_ready(server)
        await asyncio.sleep(3)  # events are captured
        memory, started = server.memory(), server.cpu_seconds()
        subscribers = Subscribers(server.port, options.protocol, tokens)
        try:
            await asyncio.to_thread(subscribers.wait_until_subscribed)
            await until_subscribed(server, options.subscribers)
            each = (server.memory() - memory) * 1024 / options.subscribers
            start_cpu = (server.cpu_seconds() - started) / options.subscribers * 1e3
            print(f"{name}: {start_cpu:.2f} ms of CPU to connect and subscribe", flush=True)
            for rate in options.writes:
                written, duration, cpu, received = await measure(server, subscribers, url, rate, options)
                cells = (kind, options.protocol, name, options.subscribers, f"{each:.0f}")
                report(cells, written, duration, cpu, received, server.memory(), options.subscribers)
        finally:
            subscribers.stop()
    finally:
        server.stop()


def report(
    cells: tuple[Any, ...],
    written: int,
    duration: float,
    cpu: float,
    received: Received,
    memory: float,
    subscribers: int,
) -> None:
    """Print the line of one measurement."""
    rows = received.ages
    cuts = [1e3 * cut for cut in quantiles(rows, n=100)] if len(rows) > 1 else [0.0] * 99
    figures = (
        f"{written / duration:.0f}",
        f"{len(rows) / duration:.0f}",
        f"{received.frames / duration:.0f}",
        f"{cuts[49]:.0f}",
        f"{cuts[98]:.0f}",
        f"{cpu / duration:.0%}",
        f"{cpu / max(received.frames, 1) * 1e6:.1f}",
        f"{cpu / written / subscribers * 1e6:.2f}",
        f"{memory:.0f}",
        received.closed,
    )
    print(f"| {' | '.join(map(str, (*cells, *figures)))} |", flush=True)


async def main() -> None:
    """Measure all kinds of rights on all databases."""
    options = parse_options()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kinds = rights_by_name(options.shapes)
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for name in options.rights or kinds:
        async with temporary_databases(options.database) as urls:
            for kind, url in urls.items():
                await run(kind, url, name, kinds[name], options)


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--writes", nargs="+", type=float, default=[100.0], help="writes per second, one after another")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--shapes", type=int, default=1000, help="number of distinct rules")
    parser.add_argument("--rights", nargs="+", help="kinds of rights, such as `own row`")
    parser.add_argument("--protocol", choices=[GRAPHQL, DIRECTUS], default=GRAPHQL)
    parser.add_argument("--database", nargs="+", default=["SQLite", "PostgreSQL"])
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
