"""Runs the tests of files on a new directory in a temporary folder, or on the one of the settings."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from app.core.caller import SYSTEM
from app.core.config import Settings, load_settings
from app.db.database import Database
from app.flows.bootstrap import bootstrap
from app.flows.import_export import import_file
from app.policy_files.applying import DocumentWriter, Options
from app.policy_files.document_reader import merge
from app.policy_files.expectation_reader import read_tests
from app.policy_files.sources import load
from app.repositories.directory import Directory
from app.repositories.schema.registry_loader import load_schema
from app.repositories.services import Services


async def failures_of_files(files: Sequence[Path], rows: Iterable[Path], *, is_temporary: bool) -> dict[str, list[str]]:
    """Return the failed expectations of the tests of files, with the changes of all of them, by the place of a test.

    A temporary directory is bootstrapped and has `rows` imported. That of the settings is left as it is.

    Raises:
        OperatorError: A file is invalid, or cannot be applied.
    """
    if not is_temporary:
        return await _failures(load_settings(), files)
    with TemporaryDirectory() as folder:
        settings = Settings(
            _env_file=None,
            database_url=f"sqlite+aiosqlite:///{folder}/rollcall.db",
            admin_password=SecretStr("only for tests"),
            secret=SecretStr("only for tests"),
            storage_local_root=Path(folder, "uploads"),
        )
        database = Database.open(settings)
        try:
            await bootstrap(database, settings)
            for file in rows:
                await import_file(database, file, replace=False)
        finally:
            await database.dispose()
        return await _failures(settings, files)


async def _failures(settings: Settings, files: Sequence[Path]) -> dict[str, list[str]]:
    database = Database.open(settings)
    try:
        services = Services.from_settings(database, settings)
        if (loaded := await load_schema(database)) is not None:
            services = services.with_registry(*loaded)
        document = merge(load(file) for file in files)
        tests = read_tests(document.tests, services.registry)
        writer = DocumentWriter(Directory(SYSTEM, services), Options(allow_unknown=True, dry_run=True))
        outcome = await writer.apply(document, tests)
    finally:
        await database.dispose()
    failures: dict[str, list[str]] = {}
    for failure in outcome.failures:
        failures.setdefault(failure.test.at, []).append(str(failure))
    return failures
