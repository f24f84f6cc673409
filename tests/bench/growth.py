"""Measures lists of a large directory: `python -m tests.bench.growth URL --users 1000000`.

An empty database is filled first. Each query runs through GraphQL in this process, as an administrator; the columns are
the fastest and the median of the runs in milliseconds. `--explain` prints PostgreSQL's plan of each instead.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from uuid import UUID

from sqlalchemy import func, insert, select, text

from app.core.caller import Caller
from app.db.models import User
from app.flows.bootstrap import bootstrap
from app.flows.import_export import TABLES
from app.testing import TestSystem, open_system
from tests.base_data import static_token, uid
from tests.conftest import make_settings

ROLE_COUNT, PAGE, BATCH_SIZE, SEED = 50, 9_000, 5_000, 20260130
ADMIN, RARE = "chief", "Zyxwvut"
SYLLABLES = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wu", "an", "el", "or")
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$" + "k" * 43
NEVER_SEEN_SHARE = 0.3
FIELDS = "id email first_name last_name status"
QUERIES = {
    "by id": '{ users(filter: { id: { _eq: "%(id)s" } }) { %(fields)s } }',
    "first page": "{ users { %(fields)s } }",
    "email _eq": '{ users(filter: { email: { _eq: "%(email)s" } }) { %(fields)s } }',
    "search, one match": '{ users(search: "%(rare)s") { %(fields)s } }',
    "search, no match": '{ users(search: "qqqqqq") { %(fields)s } }',
    "search, most rows match": '{ users(search: "example") { %(fields)s } }',
    "search, two letters, no match": '{ users(search: "qz") { %(fields)s } }',
    "search, two letters, one match": '{ users(search: "zy") { %(fields)s } }',
    "email _contains": '{ users(filter: { email: { _contains: "500001" } }) { %(fields)s } }',
    "last_name _icontains": '{ users(filter: { last_name: { _icontains: "ZYXW" } }) { %(fields)s } }',
    "last_name _icontains, two letters": '{ users(filter: { last_name: { _icontains: "ZY" } }) { %(fields)s } }',
    "sorted by last_name": '{ users(sort: ["last_name"]) { %(fields)s } }',
    "sorted by -last_name": '{ users(sort: ["-last_name"]) { %(fields)s } }',
    "sorted by last_access": '{ users(sort: ["last_access"]) { %(fields)s } }',
    "sorted by -last_access": '{ users(sort: ["-last_access"]) { %(fields)s } }',
    "nested, 5 users of each role": '{ roles { users(limit: 5, sort: ["email"]) { id email } } }',
    "page %(page)s": "{ users(page: %(page)s) { %(fields)s } }",
    "page %(page)s by email": '{ users(page: %(page)s, sort: ["email"]) { %(fields)s } }',
    "page %(page)s by last_name": '{ users(page: %(page)s, sort: ["last_name"]) { %(fields)s } }',
    "count of all": "{ users_aggregated { count { id } } }",
    "count of active users": '{ users_aggregated(filter: { status: { _eq: "active" } }) { count { id } } }',
    "count by status": '{ users_aggregated(groupBy: ["status"]) { group count { id } } }',
}


def make_users(count: int) -> Iterator[dict[str, object]]:
    """Yield rows of users, the same ones each time; one of them has a name that is rare."""
    chance = random.Random(SEED)
    began = datetime(2026, 1, 1, tzinfo=UTC)

    def name(syllables: int) -> str:
        return "".join(chance.choices(SYLLABLES, k=syllables)).title()

    for number in range(count):
        last_name = RARE if number == count // 2 else name(3)
        first_name = name(2)
        is_new = chance.random() < NEVER_SEEN_SHARE
        yield {
            "id": str(UUID(int=chance.getrandbits(128), version=4)),
            "email": f"{first_name}.{last_name}.{number}@example.com".lower(),
            "first_name": first_name,
            "last_name": last_name,
            "password": HASH,
            "status": "suspended" if number % 10 == 0 else "active",
            "role": uid(f"growth-role-{number % ROLE_COUNT}"),
            "last_access": None if is_new else began + timedelta(seconds=chance.randrange(10_000_000)),
        }


async def fill(system: TestSystem, count: int) -> None:
    """Insert the rows, and let the database collect its statistics."""
    await bootstrap(system.database, system.settings)
    roles = [{"id": uid(f"growth-role-{number}"), "name": f"Role {number}"} for number in range(ROLE_COUNT)]
    await system.load(
        {
            "directus_roles": roles,
            "directus_policies": [{"id": uid("growth-all"), "name": "All", "admin_access": True}],
            "directus_users": [{"id": uid(ADMIN), "email": "chief@example.org", "token": static_token(ADMIN)}],
            "directus_access": [{"id": uid("growth"), "policy": uid("growth-all"), "user": uid(ADMIN), "role": None}],
        }
    )
    users = make_users(count)
    while rows := list(islice(users, BATCH_SIZE)):
        async with system.database.transaction() as connection:
            await connection.execute(insert(TABLES["directus_users"]), rows)
    async with system.database.maintenance() as connection:
        await connection.execute(text("VACUUM ANALYZE" if system.database.dialect == "postgresql" else "ANALYZE"))


async def measure(system: TestSystem, runs: int, only: str) -> None:
    """Print the fastest and the median duration of each query."""
    caller = Caller(token=static_token(ADMIN))
    count = await system.database.reader.fetch(select(func.count()).select_from(User))
    data = (await system.execute("{ users(limit: 1, offset: 900) { id email } }", caller=caller)).data or {}
    page = PAGE * (count[0] - 1) // 1_000_000
    values = {**data["users"][0], "rare": RARE, "fields": FIELDS, "page": page}
    for name, query in QUERIES.items():
        if only in name:
            print(f"{name % values:36} {await _durations(system, query % values, caller, runs)}", flush=True)


async def _durations(system: TestSystem, query: str, caller: Caller, runs: int) -> str:
    durations: list[float] = []
    while len(durations) < runs and (not durations or sum(durations) < 20_000):
        started = time.perf_counter()
        result = await system.execute(query, caller=caller)
        durations.append((time.perf_counter() - started) * 1e3)
        assert result.errors is None, result.errors
    return f"{min(durations):9.1f} {median(durations):9.1f}"


async def main() -> None:
    """Fill an empty database, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=14)
    parser.add_argument("--only", default="", help="a part of the names of the queries to run")
    options = parser.parse_args()
    async with open_system(make_settings(options.url, db_statement_timeout=600)) as system:
        if not await _is_filled(system):
            await fill(system, options.users)
        await measure(system, options.runs, options.only)


async def _is_filled(system: TestSystem) -> bool:
    async with system.database.transaction() as connection:
        tables = await connection.run_sync(lambda sync: system.database.dialect and sync.dialect.get_table_names(sync))
    return "directus_users" in tables


if __name__ == "__main__":
    asyncio.run(main())
