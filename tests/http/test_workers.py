"""Several processes that serve on one address."""

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

REQUEST = b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@asynccontextmanager
async def two_workers(folder, **env):
    """Yield the port of a server with two workers and these settings, and the process id of their parent."""
    settings = make_settings(f"sqlite:///{folder / 'workers.db'}")
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
    port = free_port()
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database_url, "LOG_LEVEL": "warn", **env}
    command = [*ROLLCALL, "serve", "--port", str(port), "--workers", "2"]
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield port, process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def worker_pids(parent):
    children = [child for task in Path(f"/proc/{parent}/task").glob("*/children") for child in task.read_text().split()]
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


async def answering_workers(port, connections):
    """Return the worker that accepts each of several concurrent connections, by the prefix of its request ids.

    The list is empty if no worker listens yet.
    """
    try:
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(connections)))
    except OSError:
        return []
    try:
        for _, writer in opened:
            writer.write(REQUEST)
        heads = [await reader.readuntil(b"\r\n\r\n") for reader, _ in opened]
        return [head.partition(b"x-request-id: ")[2][:16] for head in heads]
    finally:
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()


@pytest.mark.slow
@pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux balances connections among sockets")
async def test_connections_are_balanced_among_workers(tmp_path):
    async with two_workers(tmp_path) as (port, parent), asyncio.timeout(20):
        workers = set[bytes]()
        while len(workers) < 2:
            workers.update(await answering_workers(port, 1))
        stopped, _ = worker_pids(parent)
        os.kill(stopped, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(0.5, os.kill, stopped, signal.SIGCONT)
        answered = await answering_workers(port, 60)

    assert set(answered) == workers
    assert min(answered.count(worker) for worker in workers) >= 6  # on one socket, the running one would take all


@pytest.mark.slow
async def test_an_address_in_use_is_rejected_for_several_workers(tmp_path):
    async with two_workers(tmp_path) as (port, _):
        await until(lambda: is_listening(port))
        env = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{tmp_path / 'workers.db'}"}
        command = [*ROLLCALL, "serve", "--port", str(port), "--workers", "2"]
        second = await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.PIPE)
        async with asyncio.timeout(20):
            _, err = await second.communicate()

    assert second.returncode != 0
    assert b"is in use by another program" in err
