"""The worker process hashes passwords like any other hasher, and survives every end of that process."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import update
from structlog.testing import capture_logs

from app.core.errors import ServiceUnavailable
from app.core.hash_parameters import DEFAULT_HASH_COST, HashCost
from app.core.hashing import hash_password, verify_password
from app.db.models import User
from app.passwords import worker_client
from app.passwords.hasher_pool import PasswordService
from app.passwords.hashers import InProcessHasher, SubprocessHasher, create_hasher
from app.passwords.worker_protocol import WORKER_MODULE
from tests.base_data import CHEAP_HASH_COST, cheap_hash, uid
from tests.compat.replay import ROLLCALL, free_port
from tests.conftest import open_copy

PASSWORD = "correct, but only here"
SLOW = HashCost(memory=65536, time=2, parallelism=1)
"""Takes a tenth of a second or more, enough to interfere."""
HASHED = hash_password(PASSWORD, SLOW)
ODD_PASSWORDS = ["x", " ", "\n", "a\x00b", "ü" * 1_024, "\U0001f600", '"], [', "x" * 1_025, ""]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inspects processes in /proc")


@pytest_asyncio.fixture
async def hasher():
    hasher = SubprocessHasher()
    async with hasher.running():
        yield hasher


def pid_of(hasher):
    return hasher._worker._process.pid


def read_proc(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


def is_running(pid):
    """Whether a process runs; a zombie doesn't."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return read_proc(pid, "stat").rpartition(") ")[2][0] != "Z"
    return False


def exists(pid):
    """Whether a process runs or is a zombie."""
    return Path(f"/proc/{pid}").exists()


def is_discarded(pid, descriptor):
    return Path(f"/proc/{pid}/fd/{descriptor}").samefile(os.devnull)


async def until(predicate):
    async with asyncio.timeout(20):
        while not predicate():  # noqa: ASYNC110 - a process has no event to wait for
            await asyncio.sleep(0.005)


async def until_gone(*pids):
    await until(lambda: not any(map(is_running, pids)))


async def until_busy(hasher):
    """Wait until the worker has a request to work on."""
    await until(lambda: not hasher._worker.exited and hasher._worker._ready.done() and hasher._worker._pending)


async def test_the_worker_hashes_like_the_in_process_hasher(hasher):
    in_worker, in_process = PasswordService(CHEAP_HASH_COST, hasher), PasswordService(CHEAP_HASH_COST)
    for password in ODD_PASSWORDS[:-2]:
        hashed = await in_worker.hash(password)
        assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
        assert verify_password(password, hashed)
    for password in ODD_PASSWORDS:
        for candidate in (cheap_hash("x"), cheap_hash("ü" * 1_024), cheap_hash("a"), "**********", None):
            assert await in_worker.verify(password, candidate) == await in_process.verify(password, candidate)
    for password in ("", "x" * 1_025, "\ud800"):
        for service in (in_worker, in_process):
            with pytest.raises(ValueError, match=r"characters|surrogates|cannot be hashed"):
                await service.hash(password)


def test_only_expensive_hashes_get_a_worker():
    assert isinstance(create_hasher(DEFAULT_HASH_COST), SubprocessHasher)
    assert isinstance(create_hasher(CHEAP_HASH_COST), InProcessHasher)


async def test_the_worker_has_the_lowest_priority_and_exposes_no_secrets(hasher, monkeypatch):
    monkeypatch.setenv("SECRET", "a secret that only tests know and use")
    os.kill(pid_of(hasher), signal.SIGKILL)
    await until_gone(pid_of(hasher))
    assert await PasswordService(SLOW, hasher).verify(PASSWORD, HASHED)
    pid = pid_of(hasher)

    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    usable = sorted(os.sched_getaffinity(0))
    assert sorted(os.sched_getaffinity(pid)) == usable[len(usable) // 2 :]
    assert "Max core file size        0                    0 " in read_proc(pid, "limits")
    assert WORKER_MODULE in read_proc(pid, "cmdline")
    for text in (PASSWORD, HASHED, "a secret that only tests know and use"):
        assert text not in read_proc(pid, "cmdline") + read_proc(pid, "environ")
    assert is_discarded(pid, 2)


async def test_signals_that_stop_the_server_do_not_stop_the_worker(hasher):
    pid = pid_of(hasher)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)

    assert await PasswordService(SLOW, hasher).verify(PASSWORD, HASHED)
    assert pid_of(hasher) == pid


async def test_a_killed_worker_is_replaced_and_its_pending_requests_are_repeated(hasher):
    passwords, pid = PasswordService(SLOW, hasher), pid_of(hasher)
    with capture_logs() as lines:
        tasks = [asyncio.create_task(passwords.verify(PASSWORD, HASHED)) for _ in range(4)]
        await until(lambda: len(hasher._worker._pending) == 2)
        os.kill(pid, signal.SIGKILL)
        assert await asyncio.gather(*tasks) == [True] * 4

    assert pid_of(hasher) != pid
    assert not exists(pid)
    assert [(line["event"], line["status"], line["pending"]) for line in lines] == [("hasher_process_exited", -9, 2)]


async def test_a_request_whose_worker_is_killed_twice_is_a_503_and_the_next_one_works(hasher):
    passwords = PasswordService(SLOW, hasher)
    task = asyncio.create_task(passwords.verify(PASSWORD, HASHED))
    for _ in range(2):
        await until_busy(hasher)
        client = hasher._worker
        os.kill(pid_of(hasher), signal.SIGKILL)
        await until(lambda: client.exited)  # noqa: B023

    with pytest.raises(ServiceUnavailable, match="hashing is unavailable"):
        await task
    assert await passwords.verify(PASSWORD, HASHED)


async def test_a_worker_that_does_not_respond_is_killed(hasher, monkeypatch):
    monkeypatch.setattr(worker_client, "REQUEST_TIMEOUT_SECONDS", 1)
    stopped = pid_of(hasher)
    os.kill(stopped, signal.SIGSTOP)

    with capture_logs() as lines:
        assert await PasswordService(CHEAP_HASH_COST, hasher).verify("x", cheap_hash("x"))
        await until_gone(stopped)
        await until(lambda: lines)

    assert [line["event"] for line in lines] == ["hasher_process_exited"]


@pytest.mark.parametrize("python", ["/nowhere/python", shutil.which("false")])
async def test_threads_hash_until_a_worker_can_be_started(monkeypatch, python):
    hasher = SubprocessHasher()
    passwords, executable = PasswordService(CHEAP_HASH_COST, hasher), sys.executable
    monkeypatch.setattr(sys, "executable", python)
    with capture_logs() as lines:
        async with hasher.running():
            hashes = await asyncio.gather(*(passwords.hash("x") for _ in range(4)))
            assert [await passwords.verify("x", hashed) for hashed in hashes] == [True] * 4
            assert hasher._worker is None
            monkeypatch.setattr(sys, "executable", executable)
            monkeypatch.setattr(hasher, "_retry_at", time.monotonic())
            assert await passwords.verify("x", hashes[0])
            assert is_running(pid_of(hasher))

    assert [line["event"] for line in lines] == ["hasher_fallback_in_process"]


async def test_at_shutdown_pending_requests_fail_at_once_and_no_process_is_left():
    hasher = SubprocessHasher()
    passwords = PasswordService(DEFAULT_HASH_COST, hasher)
    async with hasher.running():
        pid = pid_of(hasher)
        tasks = [asyncio.create_task(passwords.verify(PASSWORD, HASHED)) for _ in range(100)]
        await until_busy(hasher)
        started = time.perf_counter()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert time.perf_counter() - started < 3  # hashing all hundred would take longer
    assert {type(result) for result in results} == {ServiceUnavailable}
    assert not exists(pid)


async def test_cancelled_requests_leave_nothing_pending(hasher):
    passwords = PasswordService(SLOW, hasher)
    tasks = [asyncio.create_task(passwords.verify(PASSWORD, HASHED)) for _ in range(50)]
    await until_busy(hasher)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    assert passwords._pending == 0
    assert await passwords.verify(PASSWORD, HASHED)
    assert next(hasher._worker._ids) < 10
    await until(lambda: not hasher._worker._pending)


BUSY_PARENT = """
import sys, time
from app.core.hash_parameters import HashCost
from app.passwords.worker_client import HashWorker
from threading import Thread
worker = HashWorker()
worker.wait_until_ready()
Thread(target=worker.request, args=("x", [65536, 50, 1]), daemon=True).start()
print(worker._process.pid, flush=True)
time.sleep(60)
"""


async def test_a_busy_worker_exits_when_its_parent_is_killed():
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", BUSY_PARENT, stdout=subprocess.PIPE)
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    assert is_running(pid)
    parent.kill()
    await parent.wait()

    await until_gone(pid)


def is_listening(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def serve(url, workers):
    """`rollcall serve` with the default hash cost, and a client of it."""
    port = free_port()
    env = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "SECRET": "a secret that only tests know and use",
        "LOG_LEVEL": "warn",
    }
    env |= {"SHUTDOWN_TIMEOUT": "1", "LOGIN_STALL_TIME": "0"}
    command = [*ROLLCALL, "serve", "--port", str(port), "--workers", str(workers)]
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.PIPE, start_new_session=True)
    unlimited = httpx.Limits(max_connections=None)
    try:
        await until(lambda: is_listening(port))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=unlimited, timeout=30) as client:
            yield process, client
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


def workers_below(pid):
    """The workers among the descendants of a process."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for thread in threads for child in thread.read_text().split()]
    workers = [child for child in children if WORKER_MODULE in read_proc(child, "cmdline")]
    return workers + [descendant for child in children for descendant in workers_below(child)]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.nightly)])
async def test_each_server_process_has_one_worker_and_ends_it_at_shutdown(templates, tmp_path, workers):
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, "sqlite", templates, tmp_path)
        async with system.database.transaction() as connection:
            await connection.execute(update(User).where(User.id == uid("vi")).values(password=HASHED, tfa_secret=None))
        process, client = await stack.enter_async_context(serve(system.settings.database_url, workers))

        async def login():
            response = await client.post("/auth/login", json={"email": "vi@example.com", "password": PASSWORD})
            return response.status_code

        await until(lambda: len(workers_below(process.pid)) == workers)
        killed = workers_below(process.pid)
        assert await login() == 200
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert await asyncio.gather(*(login() for _ in range(4))) == [200] * 4
        waiting = [asyncio.create_task(login()) for _ in range(100)]
        await asyncio.sleep(0.2)
        replacements = workers_below(process.pid)
        assert replacements
        assert not set(killed) & set(replacements)
        process.terminate()
        log = (await asyncio.wait_for(process.communicate(), 8))[1].decode()
        await asyncio.gather(*waiting, return_exceptions=True)

    assert not any(map(is_running, replacements))
    assert "hasher_process_exited" in log
    assert "hasher_fallback_in_process" not in log
    assert PASSWORD not in log
