"""The pytest plugin: a bootstrapped directory for tests, queried as any user.

Put `pytest_plugins = ["app.testing"]` into a conftest.py and use the fixture `rollcall`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import func, select
from strawberry.types import ExecutionResult

from app.core.caller import PUBLIC, Caller
from app.core.clock import Clock, utc_now
from app.core.config import Settings
from app.core.errors import ServiceUnavailable
from app.db.database import Database
from app.db.models import SCHEMA_TABLES, User
from app.extensions.loading import Register, load_extensions
from app.flows.bootstrap import bootstrap
from app.flows.import_export import COLUMNS, ImportResult, import_rows
from app.graphql.schema import schema_of
from app.repositories.directory import Directory
from app.repositories.schema.registry_loader import load_schema
from app.repositories.services import Services


class TestSystem:
    """A directory without HTTP: tests load rows into it and query it as any user."""

    __test__ = False  # pytest collects classes whose names begin with "Test"

    def __init__(
        self, database: Database, settings: Settings, clock: Clock = utc_now, extensions: Sequence[Register] = ()
    ) -> None:
        self.database, self.settings = database, settings
        self.extensions = load_extensions(settings, extensions)
        hooks, root_fields = self.extensions.hooks, self.extensions.root_fields
        self.services = Services.from_settings(database, settings, clock, hooks=hooks, root_fields=root_fields)

    async def load(self, rows: Mapping[str, Any]) -> ImportResult:
        """Import rows, `{table: [row, …]}`; those with an existing key are updated.

        If they describe custom fields, as the file of an export does, these are added and served.
        """
        result = await import_rows(self.database, rows, replace=False)
        if rows.keys() & {COLUMNS, *SCHEMA_TABLES}:
            await self.reload_schema()
        return result

    async def reload_schema(self) -> None:
        """Serve the custom fields that the database has now. Directories that exist already keep theirs.

        Raises:
            ServiceUnavailable: The database is unavailable, or not migrated.
        """
        loaded = await load_schema(self.database)
        if loaded is not None and loaded.registry is not self.services.registry:
            self.services = self.services.with_registry(loaded.registry)

    async def as_user(self, email: str) -> Directory:
        """Return the directory for the user with this email.

        Raises:
            LookupError: There is no such user.
        """
        async with self.database.transaction() as connection:
            user = await connection.scalar(select(User.id).where(func.lower(User.email) == email.lower()))
        if user is None:
            raise LookupError(f"There is no user with the email {email}")
        return self.directory(Caller(user=str(user)))

    def directory(self, caller: Caller = PUBLIC) -> Directory:
        """Return the directory for a caller; by default for an anonymous one."""
        return Directory(caller, self.services)

    async def execute(
        self, query: str, variables: dict[str, Any] | None = None, caller: Caller = PUBLIC
    ) -> ExecutionResult:
        """Execute a GraphQL query as a caller; data are plain Python values, errors have their `original_error`."""
        schema = schema_of(self.services)
        return await schema.execute(query, variables, context_value=self.directory(caller))

    async def finish_hooks(self) -> None:
        """Wait for the hooks of extensions that run after writes."""
        if self.extensions.hooks is not None:
            await self.extensions.hooks.finished()


@asynccontextmanager
async def open_system(
    settings: Settings, clock: Clock = utc_now, extensions: Sequence[Register] = ()
) -> AsyncIterator[TestSystem]:
    """Open a directory on an existing database, with its custom fields, and close it at the end.

    `extensions` are functions `register`, called after those of the settings. At the end, hooks that run after writes
    are finished.

    Raises:
        ConfigurationError: An extension can't be loaded.
    """
    database = Database.open(settings)
    try:
        system = TestSystem(database, settings, clock, extensions)
        with suppress(ServiceUnavailable):  # the database is not migrated yet, so it has no custom fields
            await system.reload_schema()
        async with system.extensions.running_hooks():
            yield system
    finally:
        await database.dispose()


@pytest.fixture
def rollcall_extensions() -> Sequence[Register]:
    """Return the functions `register` of extensions that `rollcall` loads: none, unless a test module overrides it."""
    return ()


@pytest_asyncio.fixture
async def rollcall(tmp_path: Path, rollcall_extensions: Sequence[Register]) -> AsyncIterator[TestSystem]:
    """Yield a bootstrapped directory on a temporary SQLite file; its admin is admin@example.com."""
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}",
        admin_password=SecretStr("only for a test"),
        secret=SecretStr("only for a test"),
        storage_local_root=tmp_path / "uploads",
    )
    async with open_system(settings, extensions=rollcall_extensions) as system:
        await bootstrap(system.database, settings)
        yield system
