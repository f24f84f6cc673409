"""A process that is killed in the middle of a nested create leaves all of it, or nothing."""

import asyncio
import json
import signal
import sys

from tests.writes.killed_writer import TABLES

MADE = {"users": 1, "roles": 1, "policies": 1, "access": 1, "permissions": 1}


async def test_killed_at_any_statement_it_has_written_nothing(writable_db):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.writes.killed_writer",
        writable_db.settings.database_url,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    (_, before), *killed, (ended, after) = map(json.loads, out.splitlines())

    assert len(killed) > 10
    assert {how for how, _ in killed} == {-signal.SIGKILL}
    assert all(there == before for _, there in killed)
    assert ended == 0
    made = {name: new - old for name, old, new in zip(TABLES, before, after, strict=True)}
    assert made == {**MADE, "activity": 5, "revisions": 5}
