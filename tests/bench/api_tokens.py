"""Compares requests by API tokens with those by a static token: `python -m tests.bench.api_tokens`. Only ratios count.

One server answers the same queries for one user, alternating between the credentials in each round.
"""

import argparse
import os
from dataclasses import dataclass
from functools import partial
from statistics import median

import orjson
import uvloop
from sqlalchemy import String, cast, text, update

from app.core.caller import SYSTEM
from app.db.models import User
from app.flows.api_tokens import APITokenService
from app.repositories.directory import Directory
from app.testing import open_system
from tests.base_data import static_token, uid
from tests.bench.directory import GUEST, SECRET, fill
from tests.bench.load import Measurement, Server, measure, post, wait_until_ready
from tests.bench.run import GRAPHQL_PATH, SERVE_ARGUMENTS, temporary_databases
from tests.conftest import make_settings

QUERIES = {
    "users_me": "{ users_me { id email } }",
    "100 under rules": "{ users(limit: 100) { id email last_name role { id name } } }",
}
STATIC = "static token"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Tokens of the same user by what they are."""

    tokens: dict[str, str]

    @classmethod
    async def create(cls, url: str) -> "Credentials":
        """Give all users static tokens, and the guest two API tokens, one limited to the guest's only policy."""
        async with open_system(make_settings(url)) as system:
            async with system.database.transaction() as connection:
                # Each user has a token: the statistics of a column of nulls would keep SQLite from using its index.
                await connection.execute(update(User).values(token=cast(User.id, String)))
                with_token = update(User).where(User.id == uid(GUEST)).values(token=static_token(GUEST))
                await connection.execute(with_token)
                await connection.execute(text("ANALYZE"))
            service, policies = APITokenService(Directory(SYSTEM, system.services)), [uid("bench-some")]
            whole = await service.create({"name": "whole"}, uid(GUEST))
            scoped = await service.create({"name": "scoped", "policies": policies, "read_only": True}, uid(GUEST))
        return cls({STATIC: static_token(GUEST), "API token": whole.secret, "scoped API token": scoped.secret})


def request(query: str, token: str, _: int) -> bytes:
    """Return the bytes of a query."""
    return post(GRAPHQL_PATH, orjson.dumps({"query": query}), token)


async def compare(url: str, options: argparse.Namespace) -> None:
    """Measure each query with each of the credentials in turn, and print a line for each."""
    tokens = (await Credentials.create(url)).tokens
    server = Server(SERVE_ARGUMENTS, {**os.environ, "DATABASE_URL": url, "SECRET": SECRET, "LOG_LEVEL": "warn"})
    try:
        await wait_until_ready(server)
        for name, query in QUERIES.items():
            runs: dict[str, list[Measurement]] = {kind: [] for kind in tokens}
            for _ in range(options.rounds):
                for kind, token in tokens.items():
                    runs[kind].append(await measure(server, partial(request, query, token), 16, options.seconds))
            for kind, of_kind in runs.items():
                pairs = list(zip(runs[STATIC], of_kind, strict=True))
                cpu, rate = median(b.cpu_us / a.cpu_us for a, b in pairs), median(b.rate / a.rate for a, b in pairs)
                cells = f"{median(run.cpu_us for run in of_kind):.0f} | **{cpu:.2f}** | {rate:.2f}"
                print(f"| {name} | {kind} | {cells} |", flush=True)
    finally:
        server.stop()


async def main() -> None:
    """Measure on each database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    async with temporary_databases(["SQLite", "PostgreSQL"]) as urls:
        for kind, url in urls.items():
            await fill(make_settings(url))
            print(f"\n{kind}, median of {options.rounds} rounds of {options.seconds:g} s, 16 connections\n")
            print("| query | credentials | CPU µs | CPU: of static | rate: of static |\n|---|---|---|---|---|")
            await compare(url, options)


if __name__ == "__main__":
    uvloop.run(main())
