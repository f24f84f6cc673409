"""Measures a caller's first query, and loading access from many permissions: `python -m tests.bench.access`.

Each of 1,000 roles has two policies of 25 permissions; some of the roles have users.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from statistics import median
from uuid import uuid4

from sqlalchemy import insert

from app.core.caller import Caller
from app.core.config import Settings
from app.db.database import Database
from app.flows.bootstrap import bootstrap
from app.flows.import_export import TABLES
from app.testing import TestSystem, open_system
from tests.base_data import Rows, static_token, uid
from tests.conftest import HAS_POSTGRESQL, admin_url, create_database, make_settings, run_on_server

ROLE_COUNT, POLICIES_PER_ROLE, PERMISSIONS_PER_POLICY, USER_COUNT = 1_000, 2, 25, 100
QUERIES = {
    "users_me": "{ users_me { id email } }",
    "100 users with role": "{ users(limit: 100) { id email role { name } } }",
}
ANCESTORS = 10
"""The length of the chain of parent roles at the end of the list."""


def make_rows(roles: int) -> Rows:
    """Return rows with this many roles, their policies and permissions, and users in the first and the last roles."""
    rows: Rows = {f"directus_{name}": [] for name in ("roles", "policies", "access", "permissions", "users")}
    for n in range(roles):
        parent = uid(f"r{n - 1}") if n > roles - ANCESTORS else None
        rows["directus_roles"].append({"id": uid(f"r{n}"), "name": f"r{n}", "parent": parent})
        for m in range(POLICIES_PER_ROLE):
            policy = uid(f"p{n}.{m}")
            rows["directus_policies"].append({"id": policy, "name": policy})
            access_row = {"id": uid(f"a{n}.{m}"), "policy": policy, "role": uid(f"r{n}"), "user": None}
            rows["directus_access"].append(access_row)
            rows["directus_permissions"] += [
                make_permission(policy, number) for number in range(PERMISSIONS_PER_POLICY)
            ]
    for n in range(USER_COUNT):
        role = uid(f"r{roles - 1 if n == 0 else n % min(roles, 50)}")
        user = {"id": uid(f"u{n}"), "email": f"u{n}@example.com", "token": static_token(f"u{n}"), "role": role}
        rows["directus_users"].append(user)
    return rows


def make_permission(policy: str, number: int) -> dict[str, object]:
    """Return one of a policy's permissions: on users, on roles, or on collections of a project."""
    collection = ("directus_users", "directus_roles", f"articles_{number}")[min(number, 2)]
    rule = {"_or": [{"id": {"_eq": "$CURRENT_USER"}}, {"id": {"_nnull": True}}]}
    fields = "id,email,name,role,users" if number < 2 else "id,title"
    return {"policy": policy, "collection": collection, "action": "read", "fields": fields, "permissions": rule}


async def fill(database: Database, rows: Rows) -> None:
    """Insert rows in batches."""
    async with database.transaction() as connection:
        for name, values in rows.items():
            for start in range(0, len(values), 2_000):
                await connection.execute(insert(TABLES[name]), values[start : start + 2_000])


async def milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    """Return the milliseconds a call takes."""
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1e3


async def measure(system: TestSystem) -> None:
    """Print the durations of first and second queries, and of loading access."""
    await system.execute("{ server_ping }")
    for name, query in QUERIES.items():
        await system.execute(query, caller=Caller(token=static_token("u1")))
        firsts, differences = [], []
        for n in range(2, USER_COUNT):
            first, second = await first_and_second(system, query, Caller(token=static_token(f"u{n}"), ip=name))
            firsts.append(first)
            differences.append(first - second)
        summary = (
            f"{median(differences):5.1f} more than the second, {sorted(differences)[-USER_COUNT // 20]:5.1f} at p95"
        )
        print(f"  {name:22} first {median(firsts):6.1f} ms, {summary}")
    for user, description in (
        ("u1", "2 policies"),
        ("u0", f"{ANCESTORS} roles deep, {ANCESTORS * POLICIES_PER_ROLE} policies"),
    ):
        caller = Caller(token=static_token(user))
        loads = [await milliseconds(partial(system.services.access_cache.reload, caller)) for _ in range(9)]
        print(f"  loading access, {description:30} {median(loads):6.1f} ms")


async def first_and_second(system: TestSystem, query: str, caller: Caller) -> tuple[float, float]:
    """Return the milliseconds of a caller's first and second query."""
    execute = partial(system.execute, query, caller=caller)
    return await milliseconds(execute), await milliseconds(execute)


async def main() -> None:
    """Measure with few and with many roles, on SQLite and, if available, on PostgreSQL."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for roles in (10, ROLE_COUNT):
            urls = {"SQLite": f"sqlite:///{folder}/{roles}.db"}
            if HAS_POSTGRESQL:
                name = f"rollcall_bench_{uuid4().hex[:8]}"
                await create_database(name)
                stack.push_async_callback(run_on_server, f"DROP DATABASE {name} WITH (FORCE)")
                urls["PostgreSQL"] = admin_url(name)
            for database, url in urls.items():
                print(f"{database}, {roles} roles, {roles * POLICIES_PER_ROLE * PERMISSIONS_PER_POLICY} permissions")
                await run(make_settings(url), roles)


async def run(settings: Settings, roles: int) -> None:
    """Fill one database and measure it."""
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await fill(system.database, make_rows(roles))
        await measure(system)


if __name__ == "__main__":
    asyncio.run(main())
