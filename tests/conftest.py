"""Both databases, really connected: the named world to look at, and fresh copies of it to change."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import orjson
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr

from app.core.config import Settings
from app.flows.bootstrap import bootstrap
from app.flows.import_export import import_rows
from app.graphql.schema import RollcallSchema
from app.testing import TestSystem, open_system
from tests.world import CHEAP, WORLD

SERVER = os.environ.get("TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
SHARED = Path(__file__).parents[2] / "shared"

# Making a counterexample small takes minutes here: it is done by hand, by adding the phase.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
quiet: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "phases": PHASES,
}
hypothesis_settings.register_profile("default", max_examples=80, derandomize=True, **quiet)
hypothesis_settings.register_profile("nightly", max_examples=5_000, derandomize=False, **quiet)
hypothesis_settings.load_profile("default")


def admin_url(database: str) -> str:
    return urlsplit(SERVER)._replace(path=f"/{database}", scheme="postgresql").geturl()


async def run_on_server(*statements: str) -> None:
    connection = await asyncpg.connect(admin_url("postgres"), timeout=3)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def answers() -> bool:
    try:
        asyncio.run(run_on_server("SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


POSTGRESQL = answers()
S3 = all(map(find_spec, ("obstore", "moto", "flask", "flask_cors")))
BACKENDS = ["sqlite", "postgresql"] if POSTGRESQL else ["sqlite"]


def pytest_addoption(parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden files anew")
    parser.addoption("--both-ways", action="store_true", help="compare every answer with the one from a plan")


def pytest_collection_modifyitems(items) -> None:
    if not Settings(_env_file=None).graphql_plans:
        for item in items:
            if item.get_closest_marker("planning"):
                item.add_marker(pytest.mark.skip(reason="GRAPHQL_PLANS is false"))


def pytest_report_header() -> str:
    return "databases: SQLite and PostgreSQL" if POSTGRESQL else "databases: SQLite only"


def pytest_terminal_summary(terminalreporter) -> None:
    if COMPARED:
        told = f"{COMPARED['compared']} answers were the same both ways, {COMPARED['not planned']} have no plan"
        terminalreporter.write_line(told)
    if not shutil.which("redis-server"):
        terminalreporter.section("Redis was LEFT OUT", sep="!", red=True)
        terminalreporter.line("There is no redis-server here: what is counted by several processes was not looked at.")
    if not S3:
        terminalreporter.section("S3 was LEFT OUT", sep="!", red=True)
        terminalreporter.line("moto with flask and flask-cors, or obstore, is not installed: no bucket was looked at.")
    if not POSTGRESQL:
        terminalreporter.section("PostgreSQL was LEFT OUT", sep="!", red=True)
        terminalreporter.line(
            "No server answered on TEST_DATABASE_URL or 127.0.0.1:5432: half of the suite did not run."
        )


COMPARED = Counter[str]()


@pytest.fixture(autouse=True)
def both_ways(request) -> Iterator[None]:
    """With `--both-ways` whatever is asked is answered in the ordinary way, and compared with what its plan answers.

    Tests that count statements are left as they are.
    """
    if not request.config.getoption("--both-ways") or request.node.get_closest_marker("counting"):
        yield
        return

    async def execute(self, query, variables=None, context_value=None, root=None, name=None, *rest, **more):
        name = more.pop("operation_name", name)
        more["context_value"] = directory = more.pop("context_value", context_value)
        result = await self.execute_full(query, variables, root_value=root, operation_name=name, **more)
        wire = await self.plans.answer(directory, query, variables, name) if not result.errors else None
        if wire is not None:
            assert orjson.loads(wire) == {"data": orjson.loads(orjson.dumps(result.data))}, query
        COMPARED["compared" if wire else "not planned"] += 1
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RollcallSchema, "execute", execute)
        yield


def make_settings(url: str, **changed) -> Settings:
    given = {
        "database_url": url,
        "secret": SecretStr("a secret only tests know"),
        "admin_password": SecretStr("a password only tests know"),
        "db_pool_size": 2,  # several processes share one server's connections
        "hash_memory_cost": CHEAP.memory,
        "hash_time_cost": CHEAP.time,
        "hash_parallelism": CHEAP.parallelism,
        "last_access_interval": timedelta(0),  # the world is only looked at
        **changed,
    }
    return Settings(_env_file=None, **given)


async def create_database(name: str, template: str = "template0") -> None:
    # A directory sorts and folds the same whatever the collation; the one of the recordings is used throughout.
    collation = " LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'" if template == "template0" else ""
    await run_on_server(f"CREATE DATABASE {name} TEMPLATE {template}{collation}")


@pytest_asyncio.fixture(scope="session")
async def templates(tmp_path_factory) -> AsyncIterator[dict[str, str]]:
    """A bootstrapped database of each kind with the world in it: the file or the name to copy."""
    file, name = tmp_path_factory.mktemp("template") / "world.db", f"rollcall_test_{uuid4().hex[:12]}"
    made = {"sqlite": f"sqlite+aiosqlite:///{file}"}
    if POSTGRESQL:
        await create_database(name)
        made["postgresql"] = admin_url(name)
    for url in made.values():
        settings = make_settings(url)
        async with open_system(settings) as system:
            await bootstrap(system.database, settings)
            await import_rows(system.database, WORLD)
    yield {"sqlite": str(file), "postgresql": name}
    if POSTGRESQL:
        await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def readonly_db(request, templates, tmp_path_factory) -> AsyncIterator[TestSystem]:
    """The named world, for tests that only look."""
    async with AsyncExitStack() as stack:
        yield await copied(stack, request.param, templates, tmp_path_factory.mktemp("world"))


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def scratch(request, templates, tmp_path_factory) -> AsyncIterator[TestSystem]:
    """A database whose rows one test replaces again and again; nobody else looks at it."""
    async with AsyncExitStack() as stack:
        yield await copied(stack, request.param, templates, tmp_path_factory.mktemp("scratch"))


@pytest_asyncio.fixture(params=BACKENDS)
async def writable_db(request, templates, tmp_path) -> AsyncIterator[TestSystem]:
    """A copy of the named world of one's own, for tests that change it."""
    async with AsyncExitStack() as stack:
        yield await copied(stack, request.param, templates, tmp_path)


async def copied(stack: AsyncExitStack, backend: str, templates: dict[str, str], folder: Path) -> TestSystem:
    if backend == "sqlite":
        shutil.copy(templates["sqlite"], folder / "rollcall.db")
        url = f"sqlite+aiosqlite:///{folder / 'rollcall.db'}"
    else:
        name = f"rollcall_test_{uuid4().hex[:12]}"
        await create_database(name, templates["postgresql"])
        stack.push_async_callback(run_on_server, f"DROP DATABASE {name} WITH (FORCE)")
        url = admin_url(name)
    return await stack.enter_async_context(open_system(make_settings(url)))


@pytest_asyncio.fixture(params=BACKENDS)
async def blank_url(request, tmp_path) -> AsyncIterator[str]:
    """The address of a database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'blank.db'}"
        return
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await create_database(name)
    yield admin_url(name)
    await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shared() -> Path:
    """The recordings of a real Directus; skips, saying so, where they are missing."""
    if not SHARED.exists():
        pytest.skip("the recordings of a real Directus are not beside this checkout")
    return SHARED
