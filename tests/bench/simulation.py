"""Measures simulations with 1,000 roles and 100,000 users: `python -m tests.bench.simulation`.

All roles inherit from one, whose policy shows active users; each has a policy of 25 permissions, one of which shows the
users of that role. One user in a hundred has a policy of its own. Another client writes while a simulation runs.
"""

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from app.core.caller import SYSTEM
from app.core.errors import ServiceUnavailable
from app.flows.access.simulated_changes import parse_changes
from app.flows.access.simulation import AccessSimulation
from app.flows.bootstrap import bootstrap
from app.testing import TestSystem, open_system
from tests.access.contents import TABLES
from tests.base_data import Rows, uid
from tests.bench.access import fill
from tests.conftest import HAS_POSTGRESQL, admin_url, create_database, make_settings, run_on_server
from tests.policy.strategies import RESTART_KEYS

ROLES, USERS, PERMISSIONS = 1_000, 100_000, 25
BASE, SHARED = uid("base policy"), uid("shared policy")


def update(collection: str, key: Any, **data: Any) -> dict[str, Any]:
    """Return a change that updates a row."""
    return {"collection": collection, "action": "update", "key": key, "data": data}


SCENARIOS: dict[str, list[dict[str, Any]]] = {
    "everyone may read files": [
        {
            "collection": "permissions",
            "action": "create",
            "data": {"policy": BASE, "collection": "directus_files", "action": "read", "fields": ["*"]},
        }
    ],
    "everyone may read all users": [update("permissions", 1, permissions={})],
    "the policy of one role is deleted": [{"collection": "policies", "action": "delete", "key": uid("p7")}],
    "a policy of 1,000 users is deleted": [{"collection": "policies", "action": "delete", "key": SHARED}],
    "1,000 users change their role": [update("users", uid(f"u{n}"), role=uid("r1")) for n in range(1_000)],
    "all roles lose their parent": [update("roles", uid(f"r{n}"), parent=None) for n in range(1, ROLES)],
}


def make_rows() -> Rows:
    """Return the rows of the directory."""
    rows: Rows = {f"directus_{name}": [] for name in ("roles", "policies", "users", "access", "permissions")}
    rows["directus_policies"] += [{"id": BASE, "name": "Base"}, {"id": SHARED, "name": "Shared"}]
    rows["directus_permissions"].append(_permission(1, BASE, "directus_users", {"status": {"_eq": "active"}}))
    rows["directus_permissions"].append(_permission(2, SHARED, "directus_files", {}))
    for n in range(ROLES):
        role, policy = uid(f"r{n}"), uid(f"p{n}")
        rows["directus_roles"].append({"id": role, "name": f"r{n}", "parent": uid("r0") if n else None})
        rows["directus_policies"].append({"id": policy, "name": f"p{n}"})
        rows["directus_access"].append(_access(f"a{n}", policy, role=role))
        for number in range(PERMISSIONS):
            collection = ("directus_users", "directus_roles", f"articles_{number}")[min(number, 2)]
            rule = {"role": {"_eq": role}} if number == 0 else {"id": {"_nnull": True}}
            key = 10 + n * PERMISSIONS + number
            rows["directus_permissions"].append(_permission(key, policy, collection, rule))
    rows["directus_access"].append(_access("base", BASE, role=uid("r0")))
    for n in range(USERS):
        status = "suspended" if n % 50 == 0 else "active"
        user = {"id": uid(f"u{n}"), "email": f"u{n}@example.com", "role": uid(f"r{n % ROLES}"), "status": status}
        rows["directus_users"].append(user)
        if n % 100 == 1:
            rows["directus_access"].append(_access(f"o{n}", SHARED, user=user["id"]))
    return rows


def _permission(key: int, policy: str, collection: str, rule: dict[str, Any]) -> dict[str, Any]:
    fields = "id,name" if collection == "directus_roles" else "id,email"
    return {
        "id": key,
        "policy": policy,
        "collection": collection,
        "action": "read",
        "fields": fields,
        "permissions": rule,
    }


def _access(name: str, policy: str, role: str | None = None, user: str | None = None) -> dict[str, Any]:
    return {"id": uid(name), "policy": policy, "role": role, "user": user}


def memory(field: str) -> float:
    """Return a size of this process in MB: `VmRSS` now, `VmHWM` the largest since the last `forget_peak`."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Make the current size the largest."""
    Path("/proc/self/clear_refs").write_text("5")


async def checksum(system: TestSystem) -> int:
    """Return a sum of hashes of all rows of the database, read one after the other."""
    total = 0
    async with system.database.transaction() as connection:
        for name in (await connection.execute(text(TABLES[system.database.dialect]))).scalars().all():
            async for row in await connection.stream(text(f'SELECT * FROM "{name}"')):
                total += hash((name, repr(row)))
    return total


async def slowest_write(system: TestSystem, done: asyncio.Event) -> float:
    """Keep writing the name of a user until the event is set; return the seconds that the slowest write took."""
    users, slowest = system.directory(SYSTEM)["users"], 0.0
    while not done.is_set():
        started = time.perf_counter()
        await users.update_one(uid("u99999"), {"first_name": str(started)})
        slowest = max(slowest, time.perf_counter() - started)
        await asyncio.sleep(0.01)
    return slowest


async def measure(system: TestSystem) -> None:
    """Print what each scenario takes, and whether it leaves the database as it was. The CPU is that of this process."""
    for name, changes in SCENARIOS.items():
        before = await checksum(system)
        started_with = memory("VmRSS")
        forget_peak()
        started, cpu = time.perf_counter(), time.process_time()
        simulation = AccessSimulation(system.directory(SYSTEM), transaction_seconds=60)
        report = await simulation.run(parse_changes(changes))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        growth = memory("VmHWM") - started_with
        unchanged = "unchanged" if await checksum(system) == before else "CHANGED"
        is_counted = all(action.rows_counted for effect in report.effects for action in effect.actions)
        counted = "all" if is_counted else "not all"
        done = asyncio.Event()
        writing = asyncio.create_task(slowest_write(system, done))
        with suppress(ServiceUnavailable):  # given up in time for other writes
            await AccessSimulation(system.directory(SYSTEM)).run(parse_changes(changes))
        done.set()
        print(
            f"  {name:35} {seconds:5.2f} s, {cpu:5.2f} of CPU  +{growth:4.0f} MB  {report.effects_total:4} effects, "
            f"{report.users_total:5} users, {counted} counted; slowest write {await writing:5.2f} s; {unchanged}",
            flush=True,
        )


async def main() -> None:
    """Measure on SQLite and, if it is available, on PostgreSQL."""
    rows = make_rows()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        urls = {"SQLite": f"sqlite:///{folder}/simulation.db"}
        if HAS_POSTGRESQL:
            name = f"rollcall_simulation_{uuid4().hex[:8]}"
            await create_database(name)
            stack.push_async_callback(run_on_server, f'DROP DATABASE "{name}" WITH (FORCE)')
            urls["PostgreSQL"] = admin_url(name)
        for backend, url in urls.items():
            settings = make_settings(url)
            system = await stack.enter_async_context(open_system(settings))
            await bootstrap(system.database, settings)
            await fill(system.database, rows)
            if backend == "PostgreSQL":
                async with system.database.transaction() as connection:
                    await connection.execute(text(RESTART_KEYS))
                    await connection.execute(text("ANALYZE"))
            print(f"{backend}: {ROLES:,} roles, {USERS:,} users", flush=True)
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.simulation", url)
            await process.wait()


async def measure_at(url: str) -> None:
    """Measure the database at a URL in this process, which has done nothing else."""
    async with open_system(make_settings(url)) as system:
        await measure(system)


if __name__ == "__main__":
    asyncio.run(measure_at(sys.argv[1]) if sys.argv[1:] else main())
