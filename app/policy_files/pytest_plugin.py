"""The pytest plugin that runs tests of policies: each test of the configured files is an item.

It does nothing unless the option `rollcall_policies` of pytest's configuration names files, and imports nothing before.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FILES, ROWS, DATABASE = "rollcall_policies", "rollcall_policies_rows", "rollcall_policies_database"
TEMPORARY, CONFIGURED = "temporary", "configured"

Failures = dict[str, list[str]]
"""Why tests fail, by the place of each test."""
NAMED = pytest.StashKey[set[Path]]()
RESULTS = pytest.StashKey[dict[Path, "Failures | Exception"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of pytest's configuration."""
    parser.addini(FILES, "patterns of files with policies and their tests, such as policies/*.yaml", type="args")
    parser.addini(ROWS, "files of `rollcall export` with the users that the tests need", type="args")
    parser.addini(DATABASE, f"`{TEMPORARY}`: a new directory; `{CONFIGURED}`: that of DATABASE_URL", default=TEMPORARY)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "PolicyFile | None":
    """Collect a file that a pattern names."""
    if not _is_named(file_path, parent.config):
        return None
    return PolicyFile.from_parent(parent, path=file_path)


class PolicyFile(pytest.File):
    """A file with tests of policies."""

    def collect(self) -> Iterator["PolicyTestItem"]:
        from app.core.errors import OperatorError  # noqa: PLC0415  # only configured files need it
        from app.policy_files.sources import load  # noqa: PLC0415

        try:
            tests = load(self.path).tests
        except OperatorError as error:
            raise self.CollectError(str(error)) from None
        for test in tests:
            yield PolicyTestItem.from_parent(self, name=_name_of(test), place=str(test.at), line=test.at.line)


class PolicyTestItem(pytest.Item):
    """A test of policies."""

    def __init__(self, *, place: str, line: int, **options: Any) -> None:
        super().__init__(**options)
        self._place, self._line = place, line

    def runtest(self) -> None:
        """Run the tests of all files of the folder, unless this has been done, and fail if this one fails."""
        results = self.config.stash.setdefault(RESULTS, {})
        folder = self.path.parent
        if folder not in results:
            results[folder] = _run(folder, self.config)
        result = results[folder]
        if isinstance(result, Exception):
            raise result
        if failures := result.get(self._place):
            raise PolicyTestFailed("\n".join(failures))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the failed expectations; of an unexpected error, the traceback."""
        from app.core.errors import OperatorError  # noqa: PLC0415  # as above

        if isinstance(excinfo.value, PolicyTestFailed | OperatorError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the test is."""
        return self.path, self._line - 1, self.name


class PolicyTestFailed(Exception):
    """Expectations of a test do not hold."""


def _is_named(file: Path, config: pytest.Config) -> bool:
    if NAMED not in config.stash:
        config.stash[NAMED] = {path for pattern in config.getini(FILES) for path in config.rootpath.glob(pattern)}
    return file in config.stash[NAMED]


def _name_of(test: Any) -> str:
    """Return the name of a test, or else its subject."""
    values = test.value if isinstance(test.value, dict) else {}
    for key in ("name", "as"):
        if key in values:
            return str(values[key].plain())
    return f"line {test.at.line}"


def _run(folder: Path, config: pytest.Config) -> "Failures | Exception":
    from app.core.errors import OperatorError  # noqa: PLC0415  # as above
    from app.policy_files.temporary_directory import failures_of_files  # noqa: PLC0415

    files = sorted(file for file in folder.iterdir() if _is_named(file, config))
    rows = [config.rootpath / name for name in config.getini(ROWS)]
    try:
        return asyncio.run(failures_of_files(files, rows, is_temporary=config.getini(DATABASE) == TEMPORARY))
    except OperatorError as error:
        return error
