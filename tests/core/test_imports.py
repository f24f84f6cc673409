"""What a process does not use is not in its memory, and does not delay its start."""

import json
import subprocess
import sys

import pytest

from app.db.base import POSTGRESQL

SERVE = (
    "import app.cli, app.cli.runner, app.cli.startup_checks, app.extensions.loading, app.policy_files.server_tests, "
    "app.cli.server, app.main"
)
"""What `rollcall serve` imports."""
UNUSED_BY_SERVE = (
    "aiosmtplib",
    "app.flows.import_export",
    "app.flows.realtime.hub",
    "app.http.websocket.gateway",
    "app.openapi.document",
    "app.policy_files.yaml_reader",
    "asyncpg",
    "corvus_regex_ecma262",
    "email_validator",
    "httpx",
    "idna",
    "joserfc",
    "limits",
    "opentelemetry",
    "passlib",
    "prometheus_client",
    "redis",
    "segno",
    "websockets",
    "webauthn",
    "yaml",
)
"""Modules of features that the default settings disable, or that few requests need."""
UNUSED_BY_HELP = ("app.core.config", "app.db", "asyncio", "graphql", "pydantic", "sqlalchemy", "structlog")


USE_DATABASE = """
import asyncio
from contextlib import suppress
from sqlalchemy import text
from app.core.config import Settings
from app.db.database import Database
from app.flows.bootstrap import bootstrap

async def use(url):
    settings = Settings(_env_file=None, database_url=url, secret="a secret that only tests know and use")
    database = Database.open(settings)
    await bootstrap(database, settings)
    await database.reader.fetch(text("SELECT 1"))
    for run in (database.reader.fetch, lambda wrong: database.run_write(lambda it: it.fetch(wrong), exclusive=True)):
        with suppress(Exception):
            await run(text("SELECT wrong"))
    await database.dispose()

asyncio.run(use({url!r}))
"""
"""Opens a database, migrates, reads and writes, and has errors."""


def loaded_modules(code: str) -> set[str]:
    """Return the names of the modules that a process has imported after running the code."""
    command = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True, text=True).stdout
    return set(json.loads(output))


@pytest.mark.parametrize(
    ("code", "unused"), [(SERVE, UNUSED_BY_SERVE), ("import app.cli", UNUSED_BY_HELP)], ids=["serve", "help"]
)
def test_a_process_imports_nothing_of_features_that_it_does_not_use(code, unused):
    assert sorted(loaded_modules(code) & set(unused)) == []


@pytest.mark.slow
def test_only_a_process_on_postgresql_imports_its_driver(empty_database_url):
    modules = loaded_modules(USE_DATABASE.format(url=empty_database_url))

    assert ("asyncpg" in modules) is empty_database_url.startswith(POSTGRESQL)
