"""Runs `rollcall policies …` on files for tests."""

from collections.abc import Awaitable, Callable

import pytest

from tests.cli.commands import CommandResult, run_command

Policies = Callable[..., Awaitable[CommandResult]]


@pytest.fixture
def policies(restored_db) -> Policies:
    """Run `rollcall policies …` on a database that the test may change."""
    return lambda *arguments: run_command(restored_db.settings.database_url, "policies", *map(str, arguments))


@pytest.fixture
def file(tmp_path):
    """Write a document to a file and return its path."""

    def write(content, name="policies.yaml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
