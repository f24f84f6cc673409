"""Passwords hashed in a process of its own: as they are elsewhere, whatever becomes of it."""

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
from app.core.hashing import DEFAULT_HASH_COST, HashCost, hash_password, verify_password
from app.db.models import User
from app.passwords import worker, worker_client
from app.passwords.hasher_pool import PasswordService
from app.passwords.hashers import InProcessHasher, SubprocessHasher, create_hasher
from tests.compat.replay import ROLLCALL, free_port
from tests.conftest import open_copy
from tests.world import CHEAP_HASH_COST, cheap_hash, uid

PASSWORD = "correct, but only here"
SLOW = HashCost(memory=65536, time=2, parallelism=1)
"""Takes a tenth of a second and more, in which things can happen."""
HASHED = hash_password(PASSWORD, SLOW)
ODD = ["x", " ", "\n", "a\x00b", "ü" * 1_024, "\U0001f600", '"], [', "x" * 1_025, ""]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes where Linux shows them")


@pytest_asyncio.fixture
async def apart():
    hasher = SubprocessHasher()
    async with hasher.running():
        yield hasher


def pid_of(hasher):
    return hasher._process._process.pid


def shown(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


def is_there(pid):
    """Whether a process runs; one that has ended doesn't, whether or not anybody asked how."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return shown(pid, "stat").rpartition(") ")[2][0] != "Z"
    return False


def is_known(pid):
    """Whether the system still knows of it, if only as one whose end nobody asked about."""
    return Path(f"/proc/{pid}").exists()


def leads_nowhere(pid, descriptor):
    return Path(f"/proc/{pid}/fd/{descriptor}").samefile(os.devnull)


async def until(true):
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - a process tells nobody
            await asyncio.sleep(0.005)


async def gone(*pids):
    await until(lambda: not any(map(is_there, pids)))


async def begun(hasher):
    """Until it was asked something, and is at it."""
    await until(lambda: not hasher._process.over and hasher._process._ready.done() and hasher._process._asked)


async def test_it_hashes_as_is_done_elsewhere(apart):
    passwords, here = PasswordService(CHEAP_HASH_COST, apart), PasswordService(CHEAP_HASH_COST)
    for one in ODD[:-2]:
        made = await passwords.hash(one)
        assert made.startswith("$argon2id$v=19$m=8,t=1,p=1$")
        assert verify_password(one, made)
    for one in ODD:
        for given in (cheap_hash("x"), cheap_hash("ü" * 1_024), cheap_hash("a"), "**********", None):
            assert await passwords.verify(one, given) == await here.verify(one, given)
    for one in ("", "x" * 1_025, "\ud800"):
        for each in (passwords, here):
            with pytest.raises(ValueError, match=r"characters|surrogates|no text"):
                await each.hash(one)


def test_only_what_takes_its_time_is_worth_a_process():
    assert isinstance(create_hasher(DEFAULT_HASH_COST), SubprocessHasher)
    assert isinstance(create_hasher(CHEAP_HASH_COST), InProcessHasher)


async def test_it_lets_everybody_else_go_first_and_shows_nothing_of_passwords(apart, monkeypatch):
    monkeypatch.setenv("SECRET", "a secret only tests know")
    os.kill(pid_of(apart), signal.SIGKILL)
    await gone(pid_of(apart))
    assert await PasswordService(SLOW, apart).verify(PASSWORD, HASHED)
    pid = pid_of(apart)

    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    ours = sorted(os.sched_getaffinity(0))
    assert sorted(os.sched_getaffinity(pid)) == ours[len(ours) // 2 :]
    assert "Max core file size        0                    0 " in shown(pid, "limits")
    assert "hashing_process" in shown(pid, "cmdline")
    for text in (PASSWORD, HASHED, "a secret only tests know"):
        assert text not in shown(pid, "cmdline") + shown(pid, "environ")
    assert leads_nowhere(pid, 2)


async def test_what_asks_the_server_to_end_leaves_it_alone(apart):
    pid = pid_of(apart)
    for one in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, one)

    assert await PasswordService(SLOW, apart).verify(PASSWORD, HASHED)
    assert pid_of(apart) == pid


async def test_killed_it_is_begun_again_and_what_was_under_way_is_done_again(apart):
    passwords, pid = PasswordService(SLOW, apart), pid_of(apart)
    with capture_logs() as lines:
        asked = [asyncio.create_task(passwords.verify(PASSWORD, HASHED)) for _ in range(4)]
        await until(lambda: len(apart._process._asked) == 2)
        os.kill(pid, signal.SIGKILL)
        assert await asyncio.gather(*asked) == [True] * 4

    assert pid_of(apart) != pid
    assert not is_known(pid)
    assert [(line["event"], line["status"], line["under_way"]) for line in lines] == [("hashing_ended", -9, 2)]


async def test_killed_twice_it_is_a_503_and_the_next_goes_well(apart):
    passwords = PasswordService(SLOW, apart)
    asked = asyncio.create_task(passwords.verify(PASSWORD, HASHED))
    for _ in range(2):
        await begun(apart)
        process = apart._process
        os.kill(pid_of(apart), signal.SIGKILL)
        await until(lambda: process.over)  # noqa: B023

    with pytest.raises(ServiceUnavailable, match="can't be looked at just now"):
        await asked
    assert await passwords.verify(PASSWORD, HASHED)


async def test_one_that_answers_nothing_is_ended(apart, monkeypatch):
    monkeypatch.setattr(worker_client, "PATIENCE", 1)
    stopped = pid_of(apart)
    os.kill(stopped, signal.SIGSTOP)

    assert await PasswordService(CHEAP_HASH_COST, apart).verify("x", cheap_hash("x"))
    await gone(stopped)


@pytest.mark.parametrize("python", ["/nowhere/python", shutil.which("false")])
async def test_where_there_can_be_none_threads_hash_until_there_can(monkeypatch, python):
    hasher = SubprocessHasher()
    passwords, ordinary = PasswordService(CHEAP_HASH_COST, hasher), sys.executable
    monkeypatch.setattr(sys, "executable", python)
    with capture_logs() as lines:
        async with hasher.running():
            made = await asyncio.gather(*(passwords.hash("x") for _ in range(4)))
            assert [await passwords.verify("x", one) for one in made] == [True] * 4
            assert hasher._process is None
            monkeypatch.setattr(sys, "executable", ordinary)
            monkeypatch.setattr(hasher, "_refused_until", time.monotonic())
            assert await passwords.verify("x", made[0])
            assert is_there(pid_of(hasher))

    assert [line["event"] for line in lines] == ["hashing_here"]


async def test_at_the_end_whoever_waits_is_told_at_once_and_nothing_stays():
    hasher = SubprocessHasher()
    passwords = PasswordService(DEFAULT_HASH_COST, hasher)
    async with hasher.running():
        pid = pid_of(hasher)
        asked = [asyncio.create_task(passwords.verify(PASSWORD, HASHED)) for _ in range(100)]
        await begun(hasher)
        started = time.perf_counter()
    told = await asyncio.gather(*asked, return_exceptions=True)

    assert time.perf_counter() - started < 3  # a hundred would take longer
    assert {type(one) for one in told} == {ServiceUnavailable}
    assert not is_known(pid)


async def test_whoever_waits_no_more_leaves_nothing_behind(apart):
    passwords = PasswordService(SLOW, apart)
    asked = [asyncio.create_task(passwords.verify(PASSWORD, HASHED)) for _ in range(50)]
    await begun(apart)
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)

    assert passwords._under_way == 0
    assert await passwords.verify(PASSWORD, HASHED)
    assert next(apart._process._numbers) < 10
    await until(lambda: not apart._process._asked)


HOLDING = """
import sys, time
from app.core.hashing import HashCost
from app.passwords.worker_client import HashingProcess
from threading import Thread
process = HashingProcess()
process.wait()
Thread(target=process.ask, args=("x", [65536, 50, 1]), daemon=True).start()
print(process._process.pid, flush=True)
time.sleep(60)
"""


async def test_it_ends_when_whoever_began_it_is_killed_though_it_is_busy():
    holding = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDING, stdout=subprocess.PIPE)
    assert holding.stdout
    pid = int(await holding.stdout.readline())
    assert is_there(pid)
    holding.kill()
    await holding.wait()

    await gone(pid)


def listens(port):
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def serving(url, workers):
    """`rollcall serve` with the usual cost, and a client of it."""
    port = free_port()
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "SECRET": "only for a test", "LOG_LEVEL": "warn"}
    env |= {"SHUTDOWN_TIMEOUT": "1", "LOGIN_STALL_TIME": "0"}
    command = [*ROLLCALL, "serve", "--port", str(port), "--workers", str(workers)]
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=subprocess.PIPE, start_new_session=True)
    many = httpx.Limits(max_connections=None)
    try:
        await until(lambda: listens(port))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=many, timeout=30) as client:
            yield process, client
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


def hashing_below(pid):
    """The processes that hash for a process, or for one that it began."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for thread in threads for child in thread.read_text().split()]
    found = [child for child in children if worker.__name__ in shown(child, "cmdline")]
    return found + [each for child in children for each in hashing_below(child)]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.nightly)])
async def test_those_who_serve_have_one_each_and_take_it_with_them(templates, tmp_path, workers):
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, "sqlite", templates, tmp_path)
        async with system.database.transaction() as connection:
            await connection.execute(update(User).where(User.id == uid("vi")).values(password=HASHED, tfa_secret=None))
        process, client = await stack.enter_async_context(serving(system.settings.database_url, workers))

        async def sign_in():
            answer = await client.post("/auth/login", json={"email": "vi@example.com", "password": PASSWORD})
            return answer.status_code

        await until(lambda: len(hashing_below(process.pid)) == workers)
        first = hashing_below(process.pid)
        assert await sign_in() == 200
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        assert await asyncio.gather(*(sign_in() for _ in range(4))) == [200] * 4
        waiting = [asyncio.create_task(sign_in()) for _ in range(100)]
        await asyncio.sleep(0.2)
        second = hashing_below(process.pid)
        assert second
        assert not set(first) & set(second)
        process.terminate()
        told = (await asyncio.wait_for(process.communicate(), 8))[1].decode()
        await asyncio.gather(*waiting, return_exceptions=True)

    assert not any(map(is_there, second))
    assert "hashing_ended" in told
    assert "hashing_here" not in told
    assert PASSWORD not in told
