"""Compares Rollcall with bare handlers, alternating between them: `make bench`. Only the ratios count.

Each runs as one process over the same database; CPU is that of the serving process, per request. Options:
`--only NAME` (one or more queries), `--connections N …`, `--seconds S`, `--rounds N`, `--database NAME`,
`--extra-fields N` (custom fields of users), `--variant SETTING=VALUE …` (measures Rollcall with these settings, too,
and prints its CPU as a ratio of Rollcall's without them, with the quartiles of the rounds).
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from statistics import median, quantiles
from urllib.parse import quote
from uuid import uuid4

import orjson
import uvloop

from tests.bench.directory import SECRET, fill, token
from tests.bench.load import Measurement, Request, Server, get, measure, post, wait_until_ready
from tests.bench.queries import QUERIES, Query
from tests.conftest import HAS_POSTGRESQL, admin_url, create_database, make_settings, run_on_server

SERVE_ARGUMENTS = ["-c", "from app.cli import main; main()", "serve", "--port", "{port}"]
UVICORN_OPTIONS = ["--log-level", "warning", "--no-access-log", "--lifespan", "on"]
GRAPHQL_PATH = "/graphql/system"
ROWS, JSON, ROLLCALL, VARIANT = "rows", "json", "rollcall", "variant"


def start_servers(url: str, variant: list[str]) -> dict[str, Server]:
    """Start the two bare handlers, Rollcall, and, if there are any, Rollcall with the settings of the variant."""
    env = {**os.environ, "DATABASE_URL": url, "SECRET": SECRET, "LOG_LEVEL": "warn"}
    bare = ["-m", "uvicorn", "tests.bench.bare:app", "--port", "{port}", *UVICORN_OPTIONS]
    servers = {
        ROWS: Server(bare, {**env, "BARE": ROWS}),
        JSON: Server(bare, {**env, "BARE": JSON}),
        ROLLCALL: Server(SERVE_ARGUMENTS, env),
    }
    if variant:
        settings = dict(setting.split("=", 1) for setting in variant)
        servers[VARIANT] = Server(SERVE_ARGUMENTS, {**env, **settings})
    return servers


def make_requests(name: str, query: Query) -> dict[str, Request]:
    """Return the request of a query for each server."""
    bare_path, access_token = f"/{quote(name)}", token(query.user)

    def body(number: int) -> bytes:
        return orjson.dumps({"query": query.text(number), "variables": query.variables(number)})

    def bare(number: int) -> bytes:
        values = orjson.dumps(query.arguments(number)).decode()
        return post(bare_path, body(number), access_token, f"X-Values: {values}\r\n")

    def rollcall(number: int) -> bytes:
        return post(query.path, body(number), access_token)

    if query.path != GRAPHQL_PATH:
        request = get(query.path, access_token)
        return {ROWS: bare, JSON: bare, ROLLCALL: lambda _: request, VARIANT: lambda _: request}

    return {ROWS: bare, JSON: bare, ROLLCALL: rollcall, VARIANT: rollcall}


async def check_responses(name: str, servers: dict[str, Server], requests: dict[str, Request]) -> None:
    """Exit the benchmark unless all servers return the same response."""
    number = 4321 if name not in ("unseen text", "create") else -1
    responses = {}
    for kind, server in servers.items():
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        number -= name == "create"  # every create needs another number
        writer.write(requests[kind](number).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        responses[kind] = orjson.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
    if name not in ("unseen text", "create") and any(response != responses[ROWS] for response in responses.values()):
        differences = "\n".join(f"{kind}: {str(response)[:400]}" for kind, response in responses.items())
        sys.exit(f"{name}: the responses differ:\n{differences}")


async def compare(url: str, options: argparse.Namespace) -> None:
    """Measure all servers over one database in turn."""
    servers = start_servers(url, options.variant)
    try:
        for server in servers.values():
            await wait_until_ready(server)
        for name in options.only:
            requests = make_requests(name, QUERIES[name])
            await check_responses(name, servers, requests)
            for connections in options.connections:
                runs: dict[str, list[Measurement]] = {kind: [] for kind in servers}
                for _ in range(options.rounds):
                    for kind, server in servers.items():
                        runs[kind].append(await measure(server, requests[kind], connections, options.seconds))
                print_table(name, connections, runs)
    finally:
        for server in servers.values():
            server.stop()


def print_table(name: str, connections: int, runs: dict[str, list[Measurement]]) -> None:
    lines = []
    for kind, runs_of_kind in runs.items():
        medians = Measurement(
            *(median(getattr(run, field.name) for run in runs_of_kind) for field in fields(Measurement))
        )
        last_cell = f" {ratio_cell(kind, runs)} |"
        lines.append(
            f"| {name} | {connections} | {kind} | {medians.rate:.0f} | {medians.p50:.2f} | {medians.p99:.2f} |"
            f" {medians.cpu_us:.0f} | {medians.memory:.0f} |{last_cell}"
        )
    print("\n".join(lines), flush=True)


def ratio_cell(kind: str, runs: dict[str, list[Measurement]]) -> str:
    """Return the ratios of a server's CPU, each round compared with the same round of another one."""

    def ratios(dividend: str, divisor: str) -> list[float]:
        return [one.cpu_us / other.cpu_us for one, other in zip(runs[dividend], runs[divisor], strict=True)]

    if kind == ROLLCALL:
        return f"**{median(ratios(ROWS, kind)):.2f}**, {median(ratios(JSON, kind)):.2f}"
    if kind == VARIANT:
        low, middle, high = quantiles(ratios(kind, ROLLCALL), n=4)
        return f"{middle:.3f} of rollcall ({low:.3f} to {high:.3f})"
    return ""


@asynccontextmanager
async def temporary_databases(kinds: list[str]) -> AsyncIterator[dict[str, str]]:
    """Create a database of each requested kind that is available, yield their URLs, and drop them."""
    with tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite": f"sqlite:///{folder}/bench.db"}
        name = f"rollcall_bench_{uuid4().hex[:8]}"
        if HAS_POSTGRESQL and "PostgreSQL" in kinds:
            await create_database(name)
            urls["PostgreSQL"] = admin_url(name)
        try:
            yield {kind: urls[kind] for kind in kinds if kind in urls}
        finally:
            if "PostgreSQL" in urls:
                await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


async def main() -> None:
    """Measure every query on every database."""
    options = parse_options()
    async with temporary_databases(options.database) as urls:
        for kind, url in urls.items():
            await fill(make_settings(url), options.extra_fields)
            print(f"\n{kind}, median of {options.rounds} rounds of {options.seconds:g} s\n")
            print("| query | connections | served by | req/s | p50 ms | p99 ms | CPU µs | MB | CPU: of rows, of json |")
            print("|---|---|---|---|---|---|---|---|---|", flush=True)
            await compare(url, options)
    if not HAS_POSTGRESQL:
        print("PostgreSQL is unavailable and was not measured")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=list(QUERIES), choices=list(QUERIES))
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", nargs="+", default=["SQLite", "PostgreSQL"])
    parser.add_argument("--extra-fields", type=int, default=0)
    parser.add_argument("--variant", nargs="+", default=[], metavar="SETTING=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
