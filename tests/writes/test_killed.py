"""A process killed during a nested create leaves all of its rows or none."""

import asyncio
import json
import signal
import sys

import pytest

from tests.writes.killed_writer import TABLES

CREATED_ROWS = {"users": 1, "roles": 1, "policies": 1, "access": 1, "permissions": 1}


@pytest.mark.slow
async def test_a_create_killed_at_any_statement_has_written_nothing(writable_db):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.writes.killed_writer",
        writable_db.settings.database_url,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    (_, before), *killed, (final_exit_code, after) = map(json.loads, output.splitlines())

    assert len(killed) > 10
    assert {exit_code for exit_code, _ in killed} == {-signal.SIGKILL}
    assert all(counts == before for _, counts in killed)
    assert final_exit_code == 0
    created = {name: new - old for name, old, new in zip(TABLES, before, after, strict=True)}
    assert created == {**CREATED_ROWS, "activity": 5, "revisions": 5}
