"""Fixtures for all tests: databases of both kinds filled with the rows of `tests/base_data.py`, and test settings."""

import asyncio
import gc
import os
import shutil
import sys
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
from tests.base_data import BASE_ROWS, CHEAP_HASH_COST
from tests.browser import requirements as browser
from tests.restoration import close_connection, restore_rows, save_rows
from tests.selection import mark_further_cases, mark_other_database

SERVER_URL = os.environ.get("TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
RECORDINGS = Path(__file__).parents[2] / "shared"

# shrinking a counterexample takes minutes here; add the phase by hand when it is needed
PHASES_WITHOUT_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)
HYPOTHESIS_OPTIONS: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "phases": PHASES_WITHOUT_SHRINK,
}
hypothesis_settings.register_profile("default", max_examples=24, derandomize=True, **HYPOTHESIS_OPTIONS)
hypothesis_settings.register_profile("nightly", max_examples=5_000, derandomize=False, **HYPOTHESIS_OPTIONS)
hypothesis_settings.load_profile("default")


def admin_url(database: str) -> str:
    return urlsplit(SERVER_URL)._replace(path=f"/{database}", scheme="postgresql").geturl()


async def run_on_server(*statements: str) -> None:
    connection = await asyncpg.connect(admin_url("postgres"), timeout=3)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


CONNECTIONS_PER_PROCESS = 30
"""PostgreSQL connections that one process of the suite opens at most, servers that tests start included."""


async def count_free_connections() -> int:
    """Return how many more connections the server accepts from ordinary users."""
    connection = await asyncpg.connect(admin_url("postgres"), timeout=3)
    try:
        count: int = await connection.fetchval(
            """
            SELECT sum(setting::int) FILTER (WHERE name = 'max_connections')
                - sum(setting::int) FILTER (WHERE name = 'superuser_reserved_connections')
                - (SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend')
            FROM pg_settings
            """
        )
        return count
    finally:
        await connection.close()


def connection_shortage(free: int, processes: int) -> str | None:
    """Return what to do if a suite of so many processes would run out of connections, else None."""
    missing = CONNECTIONS_PER_PROCESS * processes - free
    if missing <= 0:
        return None
    return (
        f"PostgreSQL has {free} free connections, and {processes} test processes need {missing} more. End other "
        "programs that use it, raise its max_connections, or run fewer processes (pytest --maxprocesses N)."
    )


def is_postgresql_available() -> bool:
    try:
        asyncio.run(run_on_server("SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


HAS_POSTGRESQL = is_postgresql_available()
HAS_S3 = all(map(find_spec, ("obstore", "moto", "flask", "flask_cors")))
BACKENDS = ["sqlite", "postgresql"] if HAS_POSTGRESQL else ["sqlite"]


# without bytecode files each process, also of a program that a test starts, compiles everything again
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
gc.disable()  # what the imports and the collection of the tests create stays; see pytest_collection_finish


def pytest_addoption(parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="rewrite the golden files")
    parser.addoption("--both-ways", action="store_true", help="compare every response with the one of its plan")


def pytest_sessionstart(session) -> None:
    option = session.config.option
    if not HAS_POSTGRESQL or hasattr(session.config, "workerinput") or not getattr(option, "numprocesses", None):
        return
    processes = min(option.numprocesses, option.maxprocesses or option.numprocesses)
    if message := connection_shortage(asyncio.run(count_free_connections()), processes):
        pytest.exit(message, returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_ignore_collect(collection_path, config) -> bool | None:
    """Leave the browser tests out unless they are requested: each takes seconds, and they need a browser."""
    if browser.DIRECTORY not in (collection_path, *collection_path.parents):
        return None
    return not browser.are_requested(config.args) or bool(browser.missing_requirements())


@pytest.hookimpl(tryfirst=True)  # before pytest selects tests by their markers
def pytest_collection_modifyitems(items) -> None:
    mark_further_cases(items)
    mark_other_database(items)
    if not Settings(_env_file=None).graphql_plans:
        for item in items:
            if item.get_closest_marker("planning"):
                item.add_marker(pytest.mark.skip(reason="GRAPHQL_PLANS is false"))


def pytest_collection_finish() -> None:
    """Start to collect garbage, and never examine what exists already: modules, schemas and thousands of tests."""
    gc.freeze()
    gc.enable()


def pytest_report_header() -> str:
    return "databases: SQLite and PostgreSQL" if HAS_POSTGRESQL else "databases: SQLite only"


def pytest_terminal_summary(terminalreporter) -> None:
    browser.report(terminalreporter)
    if COMPARISONS:
        line = (
            f"{COMPARISONS['compared']} responses equal those of their plans, {COMPARISONS['not planned']} have no plan"
        )
        terminalreporter.write_line(line)
    if not shutil.which("redis-server"):
        terminalreporter.section("Redis tests did not run", sep="!", red=True)
        terminalreporter.line("redis-server is not installed; it is needed for rate limits shared between processes.")
    if not HAS_S3:
        terminalreporter.section("S3 tests did not run", sep="!", red=True)
        terminalreporter.line("obstore, moto, flask and flask-cors must all be installed.")
    if not HAS_POSTGRESQL:
        terminalreporter.section("PostgreSQL tests did not run", sep="!", red=True)
        terminalreporter.line(
            "No server accepts connections at TEST_DATABASE_URL or 127.0.0.1:5432, so half of the suite is missing."
        )


COMPARISONS = Counter[str]()


@pytest.fixture(autouse=True)
def compare_with_plan(request) -> Iterator[None]:
    """With `--both-ways`, execute every query in full and compare the result with that of its plan.

    Tests that count statements are left alone.
    """
    if not request.config.getoption("--both-ways") or request.node.get_closest_marker("counting"):
        yield
        return

    async def execute(self, query, variables=None, context_value=None, root=None, name=None, *arguments, **options):
        name = options.pop("operation_name", name)
        options["context_value"] = directory = options.pop("context_value", context_value)
        result = await self.execute_full(query, variables, root_value=root, operation_name=name, **options)
        planned = await self.plans.execute(directory, query, variables, name) if not result.errors else None
        if planned is not None:
            assert orjson.loads(planned) == {"data": orjson.loads(orjson.dumps(result.data))}, query
        COMPARISONS["compared" if planned else "not planned"] += 1
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RollcallSchema, "execute", execute)
        yield


def make_settings(url: str, **overrides) -> Settings:
    values = {
        "database_url": url,
        "secret": SecretStr("a secret that only tests know and use"),
        "admin_password": SecretStr("a password only tests know"),
        "db_pool_size": 2,  # several processes share one server's connections
        "hash_memory_cost": CHEAP_HASH_COST.memory,
        "hash_time_cost": CHEAP_HASH_COST.time,
        "hash_parallelism": CHEAP_HASH_COST.parallelism,
        "last_access_interval": timedelta(0),  # the shared databases are read-only
        "email_min_interval": timedelta(0),
        **overrides,
    }
    return Settings(_env_file=None, **values)


async def create_database(name: str, template: str = "template0") -> None:
    # results do not depend on the collation; all databases use the one of the recordings
    collation = " LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'" if template == "template0" else ""
    # a connection pooler keeps connections to the template open, which prevents a copy
    await run_on_server(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'")
    await run_on_server(f"CREATE DATABASE {name} TEMPLATE {template}{collation}")


@pytest_asyncio.fixture(scope="session")
async def templates(tmp_path_factory) -> AsyncIterator[dict[str, str]]:
    """A bootstrapped database of each kind with `BASE_ROWS` in it: the file, or the database name, to copy."""
    file, name = tmp_path_factory.mktemp("template") / "template.db", f"rollcall_test_{uuid4().hex[:12]}"
    urls = {"sqlite": f"sqlite+aiosqlite:///{file}"}
    if HAS_POSTGRESQL:
        await create_database(name)
        urls["postgresql"] = admin_url(name)
    for url in urls.values():
        settings = make_settings(url)
        async with open_system(settings) as system:
            await bootstrap(system.database, settings)
            await import_rows(system.database, BASE_ROWS)
    yield {"sqlite": str(file), "postgresql": name}
    if HAS_POSTGRESQL:
        await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def readonly_db(request, templates, tmp_path_factory) -> AsyncIterator[TestSystem]:
    """A database with `BASE_ROWS`, for tests that only read."""
    async with AsyncExitStack() as stack:
        yield await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("readonly_db"))


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def scratch_db(request, templates, tmp_path_factory) -> AsyncIterator[TestSystem]:
    """A database whose rows a property test replaces for each example."""
    async with AsyncExitStack() as stack:
        yield await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("scratch_db"))


@pytest_asyncio.fixture(params=BACKENDS)
async def writable_db(request, templates, tmp_path) -> AsyncIterator[TestSystem]:
    """A copy of the database with `BASE_ROWS` for one test, which may write to it."""
    async with AsyncExitStack() as stack:
        yield await open_copy(stack, request.param, templates, tmp_path)


@pytest_asyncio.fixture(params=BACKENDS, scope="session")
async def shared_db(request, templates, tmp_path_factory) -> AsyncIterator[TestSystem]:
    """A database with `BASE_ROWS`, and a copy of every table, for `restored_db`."""
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("shared_db"))
        await save_rows(system)
        yield system


@pytest_asyncio.fixture
async def restored_db(shared_db) -> AsyncIterator[TestSystem]:
    """A database with `BASE_ROWS`, whose rows a test may change: they are restored after it.

    That takes a fraction of the time of a `writable_db`, which a test needs if it changes tables.
    """
    async with open_system(shared_db.settings) as system:
        yield system
    await restore_rows(shared_db)


COPIES: set[TestSystem] = set()
"""The open copies of the templates."""


@pytest_asyncio.fixture(scope="module", autouse=True)
async def close_idle_connections() -> AsyncIterator[None]:
    """Close the connections of all copies after each module: the server accepts only so many."""
    yield
    for system in COPIES:
        await system.database.dispose()


async def open_copy(stack: AsyncExitStack, backend: str, templates: dict[str, str], folder: Path) -> TestSystem:
    if backend == "sqlite":
        shutil.copy(templates["sqlite"], folder / "rollcall.db")
        url = f"sqlite+aiosqlite:///{folder / 'rollcall.db'}"
    else:
        name = f"rollcall_test_{uuid4().hex[:12]}"
        await create_database(name, templates["postgresql"])
        stack.push_async_callback(run_on_server, f"DROP DATABASE {name} WITH (FORCE)")
        url = admin_url(name)
    system = await stack.enter_async_context(open_system(make_settings(url)))
    stack.callback(close_connection, url)
    COPIES.add(system)
    stack.callback(COPIES.discard, system)
    return system


@pytest_asyncio.fixture(params=BACKENDS)
async def empty_database_url(request, tmp_path) -> AsyncIterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'blank.db'}"
        return
    name = f"rollcall_test_{uuid4().hex[:12]}"
    await create_database(name)
    yield admin_url(name)
    await run_on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def recordings() -> Path:
    """The directory with the recordings of a real Directus; skips the test if it is missing."""
    if not RECORDINGS.exists():
        pytest.skip("the recordings of a real Directus are missing")
    return RECORDINGS
