"""Several processes that serve at one address."""

import asyncio
import os
import signal
import subprocess
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from app.flows.bootstrap import bootstrap
from app.testing import open_system
from tests.compat.replay import ROLLCALL, free_port
from tests.conftest import make_settings
from tests.flows.test_hash_worker import is_listening, until

ASKED = b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@asynccontextmanager
async def two_serving(folder):
    settings = make_settings(f"sqlite:///{folder / 'workers.db'}")
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
    port = free_port()
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database_url, "LOG_LEVEL": "warn"}
    command = [*ROLLCALL, "serve", "--port", str(port), "--workers", "2"]
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield port, process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def workers_below(parent):
    children = [child for task in Path(f"/proc/{parent}/task").glob("*/children") for child in task.read_text().split()]
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


async def who_answer(port, connections):
    """The processes that so many new connections at once lead to: what one refuses bears an id that begins as its own.

    Empty where nobody listens yet.
    """
    try:
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(connections)))
    except OSError:
        return []
    try:
        for _, writer in opened:
            writer.write(ASKED)
        heads = [await reader.readuntil(b"\r\n\r\n") for reader, _ in opened]
        return [head.partition(b"x-request-id: ")[2][:16] for head in heads]
    finally:
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux shares out who connects")
async def test_connections_are_shared_out_among_workers(tmp_path):
    async with two_serving(tmp_path) as (port, parent), asyncio.timeout(20):
        serving = set[bytes]()
        while len(serving) < 2:
            serving.update(await who_answer(port, 1))
        asleep, _ = workers_below(parent)
        os.kill(asleep, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(0.5, os.kill, asleep, signal.SIGCONT)
        told = await who_answer(port, 60)

    assert set(told) == serving
    assert min(told.count(who) for who in serving) >= 6  # at one socket, the one awake would take them all


async def test_an_address_that_somebody_listens_at_is_refused_to_several(tmp_path):
    async with two_serving(tmp_path) as (port, _):
        await until(lambda: is_listening(port))
        env = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{tmp_path / 'workers.db'}"}
        command = [*ROLLCALL, "serve", "--port", str(port), "--workers", "2"]
        second = await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.PIPE)
        async with asyncio.timeout(20):
            _, said = await second.communicate()

    assert second.returncode != 0
    assert b"Address already in use" in said
