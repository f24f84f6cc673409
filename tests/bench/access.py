"""What rights cost: a caller's first answer, and loading access where there is much of it.

`python -m tests.bench.access`. Each of 1,000 roles has two policies of 25 permissions; some people stand in them.
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
from tests.conftest import HAS_POSTGRESQL, admin_url, create_database, make_settings, run_on_server
from tests.world import Rows, static_token, uid

ROLES, POLICIES_EACH, PERMISSIONS_EACH, PEOPLE = 1_000, 2, 25, 100
QUERIES = {
    "users_me": "{ users_me { id email } }",
    "100 users with role": "{ users(limit: 100) { id email role { name } } }",
}
DEEP = 10
"""Roles that stand one above another at the end of the list."""


def crowd(roles: int) -> Rows:
    """Rows with so many roles, each with its policies and permissions, and people in the first and last of them."""
    made: Rows = {f"directus_{name}": [] for name in ("roles", "policies", "access", "permissions", "users")}
    for n in range(roles):
        parent = uid(f"r{n - 1}") if n > roles - DEEP else None
        made["directus_roles"].append({"id": uid(f"r{n}"), "name": f"r{n}", "parent": parent})
        for m in range(POLICIES_EACH):
            policy = uid(f"p{n}.{m}")
            made["directus_policies"].append({"id": policy, "name": policy})
            access = {"id": uid(f"a{n}.{m}"), "policy": policy, "role": uid(f"r{n}"), "user": None}
            made["directus_access"].append(access)
            made["directus_permissions"] += [permission(policy, number) for number in range(PERMISSIONS_EACH)]
    for n in range(PEOPLE):
        role = uid(f"r{roles - 1 if n == 0 else n % min(roles, 50)}")
        person = {"id": uid(f"u{n}"), "email": f"u{n}@example.com", "token": static_token(f"u{n}"), "role": role}
        made["directus_users"].append(person)
    return made


def permission(policy: str, number: int) -> dict[str, object]:
    """One permission among many: on users, on roles, and on what a project may have besides."""
    collection = ("directus_users", "directus_roles", f"articles_{number}")[min(number, 2)]
    rule = {"_or": [{"id": {"_eq": "$CURRENT_USER"}}, {"id": {"_nnull": True}}]}
    fields = "id,email,name,role,users" if number < 2 else "id,title"
    return {"policy": policy, "collection": collection, "action": "read", "fields": fields, "permissions": rule}


async def fill(database: Database, rows: Rows) -> None:
    """Adds rows as fast as the database takes them."""
    async with database.transaction() as connection:
        for name, some in rows.items():
            for start in range(0, len(some), 2_000):
                await connection.execute(insert(TABLES[name]), some[start : start + 2_000])


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1e3


async def measure(system: TestSystem) -> None:
    """Prints what a first and a second answer take, and loading access again and again."""
    await system.execute("{ server_ping }")
    for name, query in QUERIES.items():
        await system.execute(query, caller=Caller(token=static_token("u1")))
        firsts, more = [], []
        for n in range(2, PEOPLE):
            first, second = await twice(system, query, Caller(token=static_token(f"u{n}"), ip=name))
            firsts.append(first)
            more.append(first - second)
        later = f"{median(more):5.1f} more than the second, {sorted(more)[-PEOPLE // 20]:5.1f} for one in twenty"
        print(f"  {name:22} first {median(firsts):6.1f} ms, {later}")
    for who, says in (("u1", "2 policies"), ("u0", f"{DEEP} roles deep, {DEEP * POLICIES_EACH} policies")):
        asking = Caller(token=static_token(who))
        loads = [await timed(partial(system.services.access_cache.reload, asking)) for _ in range(9)]
        print(f"  loading access, {says:30} {median(loads):6.1f} ms")


async def twice(system: TestSystem, query: str, caller: Caller) -> tuple[float, float]:
    """Milliseconds of a caller's first and second answer."""
    ask = partial(system.execute, query, caller=caller)
    return await timed(ask), await timed(ask)


async def main() -> None:
    """Small and large, on SQLite and, where a server answers, on PostgreSQL."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for roles in (10, ROLES):
            urls = {"SQLite": f"sqlite:///{folder}/{roles}.db"}
            if HAS_POSTGRESQL:
                name = f"rollcall_bench_{uuid4().hex[:8]}"
                await create_database(name)
                stack.push_async_callback(run_on_server, f"DROP DATABASE {name} WITH (FORCE)")
                urls["PostgreSQL"] = admin_url(name)
            for database, url in urls.items():
                print(f"{database}, {roles} roles, {roles * POLICIES_EACH * PERMISSIONS_EACH} permissions")
                await run(make_settings(url), roles)


async def run(settings: Settings, roles: int) -> None:
    """Fills one database and measures it."""
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await fill(system.database, crowd(roles))
        await measure(system)


if __name__ == "__main__":
    asyncio.run(main())
