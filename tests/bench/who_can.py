"""Measures how long it takes to find who may do something: `python -m tests.bench.who_can`.

100,000 users have one of 1,000 roles, which form chains of ten; each role has a policy, and every hundredth user one of
its own. The rules refer to the user, so that each user who holds a policy is compared with the item.
"""

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from statistics import median
from uuid import uuid4

from app.core.caller import SYSTEM
from app.core.config import Settings
from app.flows.access.who_can import AccessHolders, HoldersQuestion
from app.flows.bootstrap import bootstrap
from app.testing import TestSystem, open_system
from tests.base_data import Rows, uid
from tests.bench.access import fill
from tests.conftest import HAS_POSTGRESQL, admin_url, create_database, make_settings, run_on_server

USER_COUNT, ROLE_COUNT, CHAIN = 100_000, 1_000, 10
OWN_RULE = {"_or": [{"id": {"_eq": "$CURRENT_USER"}}, {"role": {"_in": "$CURRENT_ROLES"}}]}
QUESTIONS = {
    "a field of any user": HoldersQuestion("users", "read", field="email"),
    "a field of one user": HoldersQuestion("users", "read", field="email", item=uid("u500")),
    "a field of one user, page 500": HoldersQuestion("users", "read", field="id", item=uid("u500"), page=500),
}


def make_rows() -> Rows:
    """Return the rows of the directory."""
    rows: Rows = {f"directus_{name}": [] for name in ("roles", "policies", "users", "access", "permissions")}
    for n in range(ROLE_COUNT):
        parent = uid(f"r{n - 1}") if n % CHAIN else None
        rows["directus_roles"].append({"id": uid(f"r{n}"), "name": f"r{n}", "parent": parent})
        policy = {"id": uid(f"p{n}"), "name": f"p{n}", "ip_access": ["10.0.0.0/8"] if n % 7 == 0 else None}
        rows["directus_policies"].append(policy)
        rows["directus_access"].append({"id": uid(f"a{n}"), "policy": uid(f"p{n}"), "role": uid(f"r{n}"), "user": None})
        rule = {"email": {"_nnull": True}} if n % 2 else OWN_RULE
        values: dict[str, object] = {"policy": uid(f"p{n}"), "collection": "directus_users", "action": "read"}
        rows["directus_permissions"].append({**values, "fields": "id,email", "permissions": rule})
    for n in range(USER_COUNT):
        user = {"id": uid(f"u{n}"), "email": f"u{n}@example.com", "status": "active", "role": uid(f"r{n % ROLE_COUNT}")}
        rows["directus_users"].append(user)
        if n % 100 == 0:
            own = {"id": uid(f"o{n}"), "policy": uid(f"p{n // 100}"), "user": uid(f"u{n}")}
            rows["directus_access"].append({**own, "role": None})
    return rows


async def measure(system: TestSystem) -> None:
    """Print how long each question takes, and how many statements it runs."""
    holders = AccessHolders(system.directory(SYSTEM))
    for name, question in QUESTIONS.items():
        durations, before = [], system.database.reader.statements
        for _ in range(3):
            started = time.perf_counter()
            answer = await holders.find(question)
            durations.append(time.perf_counter() - started)
        statements = (system.database.reader.statements - before) // 3
        print(f"{name}: {median(durations) * 1e3:.0f} ms, {answer.total:,} users, {statements} statements")


async def run(settings: Settings) -> None:
    """Fill a database and measure."""
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await fill(system.database, make_rows())
        await measure(system)


async def main() -> None:
    """Measure on both databases."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        print("SQLite")
        await run(make_settings(f"sqlite+aiosqlite:///{folder}/bench.db"))
        if HAS_POSTGRESQL:
            print("PostgreSQL")
            name = f"rollcall_bench_{uuid4().hex[:12]}"
            await create_database(name)
            try:
                await run(make_settings(admin_url(name)))
            finally:
                await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    asyncio.run(main())
