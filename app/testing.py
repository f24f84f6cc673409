"""For people who test resolvers: a bootstrapped system of their own, and a way to speak as any user.

Put `pytest_plugins = ["app.testing"]` into a conftest.py, and ask for the fixture `rollcall`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import func, select
from strawberry.types import ExecutionResult

from app.core.caller import PUBLIC, Caller
from app.core.clock import Clock, utc_now
from app.core.config import Settings
from app.db.database import Database
from app.db.models import User
from app.flows.bootstrap import bootstrap
from app.flows.import_export import import_rows
from app.graphql.schema import schema
from app.repositories.directory import Directory
from app.repositories.services import Services


class TestSystem:
    """A running directory without HTTP: open it, load rows, and query it as any user."""

    __test__ = False  # pytest collects classes whose names begin with "Test"

    def __init__(self, database: Database, settings: Settings, clock: Clock = utc_now) -> None:
        self.database, self.settings = database, settings
        self.services = Services.from_settings(database, settings, clock)

    async def load(self, rows: Mapping[str, Any]) -> None:
        """Adds rows, `{table: [row, …]}`; those whose key is known are updated."""
        await import_rows(self.database, rows, replace=False)

    async def as_user(self, email: str) -> Directory:
        """The directory as the user with this address sees it; LookupError where there is none."""
        async with self.database.transaction() as connection:
            user = await connection.scalar(select(User.id).where(func.lower(User.email) == email.lower()))
        if user is None:
            raise LookupError(f"there is no user with the address {email}")
        return self.directory(Caller(user=str(user)))

    def directory(self, caller: Caller = PUBLIC) -> Directory:
        """The directory as a caller sees it; the public's when nobody is named."""
        return Directory(caller, self.services)

    async def execute(
        self, query: str, variables: dict[str, Any] | None = None, caller: Caller = PUBLIC
    ) -> ExecutionResult:
        """A GraphQL query as a caller: plain Python data, and errors that carry their original."""
        return await schema.execute(query, variables, context_value=self.directory(caller))


@asynccontextmanager
async def open_system(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[TestSystem]:
    """The system on an existing database, closed at the end."""
    database = Database.open(settings)
    try:
        yield TestSystem(database, settings, clock)
    finally:
        await database.dispose()


@pytest_asyncio.fixture
async def rollcall(tmp_path: Path) -> AsyncIterator[TestSystem]:
    """A bootstrapped system on an SQLite file that is gone after the test; its admin is admin@example.com."""
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}",
        admin_password=SecretStr("only for a test"),
        secret=SecretStr("only for a test"),
        storage_local_root=tmp_path / "uploads",
    )
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        yield system
