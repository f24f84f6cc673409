"""What signing in costs beside the hash it needs: `python -m tests.bench.sign_in`.

A process that only verifies the hash, as many at once as Rollcall does and on the same processors, is compared with
Rollcall's sign-ins: by the CPU of each, and by how many a second. Then others read meanwhile; their p99 is compared
with that of an idle server, and the memory of one sign-in, between hashes, with that of hundreds at once.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

import orjson
import uvloop
from sqlalchemy import update

from app.core.hashing import hash_password, verify_password
from app.db.models import User
from app.passwords.hasher_pool import HASH_THREADS, PasswordService
from app.passwords.worker import limit_cpu_affinity
from app.testing import open_system
from tests.bench.directory import CHIEF, SECRET, fill, person, token
from tests.bench.load import Measured, Server, measure, post, wait_for
from tests.bench.run import SERVE, databases
from tests.conftest import make_settings

PASSWORD = "only for a measurement"
PEOPLE, ROUNDS, SECONDS, READERS = 500, 5, 3.0, 4
CROWD = (1, 16, 256)
"""How many sign in at once."""
READING = orjson.dumps({"query": "{ users_me { id email } }"})
BARE = ["-m", "tests.bench.sign_in", "bare"]


def signing_in(number: int) -> bytes:
    """Somebody's credentials, of one who didn't sign in just now."""
    shown = {"email": f"signer{number % PEOPLE}@example.com", "password": PASSWORD}
    return post("/auth/login", orjson.dumps(shown), "").replace(b"Authorization: Bearer \r\n", b"")


def reading(_: int) -> bytes:
    """A small question."""
    return post("/graphql/system", READING, token(CHIEF))


async def bare() -> None:
    """Verifies one hash again and again, where sign-ins hash too; prints CPU microseconds for each, and the rate."""
    limit_cpu_affinity()
    passwords, hashed = PasswordService(), hash_password(PASSWORD)
    verify_password(PASSWORD, hashed)
    done, spent, started = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() < started + SECONDS:
        await asyncio.gather(*(passwords.verify(PASSWORD, hashed) for _ in range(2 * HASH_THREADS)))
        done += 2 * HASH_THREADS
    seconds = time.perf_counter() - started
    print((time.process_time() - spent) / done * 1e6, done / seconds)


async def alone() -> tuple[float, float]:
    """The bare verification in a process of its own."""
    process = await asyncio.create_subprocess_exec(sys.executable, *BARE, stdout=subprocess.PIPE)
    told, _ = await process.communicate()
    cpu, rate = map(float, told.split())
    return cpu, rate


async def people(url: str) -> None:
    """Gives some of the crowd an address and a password to sign in with."""
    hashed = hash_password(PASSWORD)
    async with open_system(make_settings(url)) as system, system.database.transaction() as connection:
        for number in range(PEOPLE):
            values = {"email": f"signer{number}@example.com", "password": hashed, "status": "active"}
            await connection.execute(update(User).where(User.id == person(number)).values(**values))


async def beside(server: Server, crowd: int) -> tuple[Measured, Measured]:
    """So many who sign in, and some who read meanwhile."""
    signing, asking = await asyncio.gather(
        measure(server, signing_in, crowd, SECONDS), measure(server, reading, READERS, SECONDS)
    )
    return signing, asking


def spent(server: Server) -> float:
    """Seconds of CPU, those of threads that have ended included: each hash starts some of its own."""
    stats = [(process / "stat").read_text().rpartition(")")[2].split() for process in server.processes()]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")


async def signed_in(server: Server) -> tuple[float, float]:
    """Sixteen who sign in again and again: CPU microseconds for each, and how many a second."""
    before, started = spent(server), time.perf_counter()
    rate = (await measure(server, signing_in, 16, SECONDS)).rate
    number = rate * (time.perf_counter() - started)
    return (spent(server) - before) / number * 1e6, rate


async def compare_reads(server: Server, crowd: int) -> None:
    """Prints what reads took beside so many who sign in, and beside nobody right before: the median of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        idle = await measure(server, reading, READERS, SECONDS)
        signing, asking = await beside(server, crowd)
        rounds.append((asking.p99 / idle.p99, idle.p99, asking.p50, asking.p99, signing.rate))
    times, idle_p99, p50, p99, rate = (median(column) for column in zip(*rounds, strict=True))
    memory = " and ".join(f"{each:.0f}" for each in server.memories())  # of those that serve and hash
    told = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {times:.1f} times the {idle_p99:.2f} ms of an idle server"
    print(f"{crowd:4} sign in, {rate:.1f}/s; reads beside them: {told}; {memory} MB")


async def compare(url: str) -> None:
    """Prints what was measured on one database."""
    server = Server(SERVE, {**os.environ, "DATABASE_URL": url, "SECRET": SECRET, "LOG_LEVEL": "warn", **UNSTALLED})
    try:
        await wait_for(server)
        await measure(server, signing_in, 1, SECONDS)
        ratios = []
        for _ in range(ROUNDS):
            (cpu, rate), (our_cpu, our_rate) = await alone(), await signed_in(server)
            ratios.append((cpu / our_cpu, our_rate / rate))
            print(f"bare {cpu / 1e3:.0f} ms CPU, {rate:.1f}/s; signing in {our_cpu / 1e3:.0f} ms, {our_rate:.1f}/s")
        by_cpu, by_rate = (median(column) for column in zip(*ratios, strict=True))
        print(f"of bare verification: {by_cpu:.2f} by CPU, {by_rate:.2f} by number")
        for crowd in CROWD:
            await compare_reads(server, crowd)
    finally:
        server.stop()


UNSTALLED = {"LOGIN_STALL_TIME": "0", "LOGIN_LOCKOUT_TTL": "1s", "SHUTDOWN_TIMEOUT": "60"}


async def main() -> None:
    """Both databases."""
    if sys.argv[1:] == ["bare"]:
        await bare()
        return
    with tempfile.TemporaryDirectory():
        async with databases(["SQLite", "PostgreSQL"]) as made:
            for kind, url in made.items():
                print(f"\n{kind}")
                await fill(make_settings(url))
                await people(url)
                await compare(url)


if __name__ == "__main__":
    uvloop.run(main())
