"""An upgrade that is killed anywhere leaves the database as it was."""

import asyncio
import json
import signal
import sys

from tests.upgrade.conftest import dump


async def test_killed_at_any_statement_it_has_changed_nothing(ten):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.upgrade.killed", ten.settings.database_url, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    (_, before), *killed, (ended, after) = map(json.loads, out.splitlines())

    assert len(killed) > 15
    assert {how for how, _ in killed} == {-signal.SIGKILL}
    assert all(there == before for _, there in killed)
    assert (ended, after != before) == (0, True)
    assert "CREATE TABLE public.directus_policies" in dump(ten.settings.database_url)
