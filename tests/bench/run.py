"""How far from a bare handler: `make bench` alternates between bare ones and Rollcall; only the ratios count.

Each serves from one process over the same database; CPU is the serving process' own, for each request. Options:
`--only NAME` (a question, or several), `--connections N …`, `--seconds S`, `--rounds N`, `--database NAME`.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from statistics import median
from urllib.parse import quote
from uuid import uuid4

import orjson
import uvloop

from tests.bench.directory import SECRET, fill, token
from tests.bench.load import Measured, Request, Server, get, measure, post, wait_for
from tests.bench.queries import QUESTIONS, Question
from tests.conftest import HAS_POSTGRESQL, admin_url, create_database, make_settings, run_on_server

SERVE = ["-c", "from app.cli import main; main()", "serve", "--port", "{port}"]
QUIET = ["--log-level", "warning", "--no-access-log", "--lifespan", "on"]
GRAPHQL = "/graphql/system"
ROWS, JSON, OURS = "rows", "json", "rollcall"


def start(url: str) -> dict[str, Server]:
    """The two bare handlers, and Rollcall."""
    env = {**os.environ, "DATABASE_URL": url, "SECRET": SECRET, "LOG_LEVEL": "warn"}
    bare = ["-m", "uvicorn", "tests.bench.bare:app", "--port", "{port}", *QUIET]
    return {
        ROWS: Server(bare, {**env, "BARE": ROWS}),
        JSON: Server(bare, {**env, "BARE": JSON}),
        OURS: Server(SERVE, env),
    }


def requests(name: str, question: Question) -> dict[str, Request]:
    """How each server is asked the question."""
    path, who = f"/{quote(name)}", token(question.who)

    def body(number: int) -> bytes:
        return orjson.dumps({"query": question.text(number), "variables": question.variables(number)})

    def bare(number: int) -> bytes:
        values = orjson.dumps(question.arguments(number)).decode()
        return post(path, body(number), who, f"X-Values: {values}\r\n")

    def ours(number: int) -> bytes:
        return post(question.path, body(number), who)

    if question.path != GRAPHQL:
        there = get(question.path, who)
        return {ROWS: bare, JSON: bare, OURS: lambda _: there}

    return {ROWS: bare, JSON: bare, OURS: ours}


async def check(name: str, servers: dict[str, Server], asked: dict[str, Request]) -> None:
    """Nothing is compared that isn't the same answer."""
    number = 4321 if name not in ("unseen text", "create") else -1
    answers = {}
    for kind, server in servers.items():
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        number -= name == "create"  # nobody can be new twice
        writer.write(asked[kind](number).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        answers[kind] = orjson.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
    if name not in ("unseen text", "create") and any(answer != answers[ROWS] for answer in answers.values()):
        told = "\n".join(f"{kind}: {str(answer)[:400]}" for kind, answer in answers.items())
        sys.exit(f"{name}: these should be the same answer:\n{told}")


async def compare(url: str, options: argparse.Namespace) -> None:
    """All of them over one database, turn by turn."""
    servers = start(url)
    try:
        for server in servers.values():
            await wait_for(server)
        for name in options.only:
            asked = requests(name, QUESTIONS[name])
            await check(name, servers, asked)
            for connections in options.connections:
                runs: dict[str, list[Measured]] = {kind: [] for kind in servers}
                for _ in range(options.rounds):
                    for kind, server in servers.items():
                        runs[kind].append(await measure(server, asked[kind], connections, options.seconds))
                _print(name, connections, runs)
    finally:
        for server in servers.values():
            server.stop()


def _print(name: str, connections: int, runs: dict[str, list[Measured]]) -> None:
    told = []
    for kind, measured in runs.items():
        one = Measured(*(median(getattr(run, field.name) for run in measured) for field in fields(Measured)))
        against = [median(b.cpu / o.cpu for b, o in zip(runs[bare], measured, strict=True)) for bare in (ROWS, JSON)]
        ratios = f" **{against[0]:.2f}**, {against[1]:.2f} |" if kind == OURS else " |"
        told.append(
            f"| {name} | {connections} | {kind} | {one.rate:.0f} | {one.p50:.2f} | {one.p99:.2f} | {one.cpu:.0f} |"
            f" {one.memory:.0f} |{ratios}"
        )
    print("\n".join(told), flush=True)


@asynccontextmanager
async def databases(wanted: list[str]) -> AsyncIterator[dict[str, str]]:
    """A filled database of each kind that is wanted and there is."""
    with tempfile.TemporaryDirectory() as folder:
        made = {"SQLite": f"sqlite:///{folder}/bench.db"}
        name = f"rollcall_bench_{uuid4().hex[:8]}"
        if HAS_POSTGRESQL and "PostgreSQL" in wanted:
            await create_database(name)
            made["PostgreSQL"] = admin_url(name)
        try:
            yield {kind: made[kind] for kind in wanted if kind in made}
        finally:
            if "PostgreSQL" in made:
                await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


async def main() -> None:
    """Every question on every database."""
    options = _options()
    async with databases(options.database) as made:
        for kind, url in made.items():
            await fill(make_settings(url))
            print(f"\n{kind}, median of {options.rounds} rounds of {options.seconds:g} s\n")
            print(
                "| question | connections | served by | req/s | p50 ms | p99 ms | CPU µs | MB | CPU: of rows, of json |"
            )
            print("|---|---|---|---|---|---|---|---|---|", flush=True)
            await compare(url, options)
    if not HAS_POSTGRESQL:
        print("PostgreSQL was left out: none answers")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=list(QUESTIONS), choices=list(QUESTIONS))
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", nargs="+", default=["SQLite", "PostgreSQL"])
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
