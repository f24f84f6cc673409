"""Measures logins against the cost of their hash: `python -m tests.bench.sign_in`.

Compares Rollcall's logins, by CPU and by rate, with a process that only verifies hashes, as many at once and on the
same processors as Rollcall. Then measures reads during logins: their p99 against that of an idle server, and the memory
of one login against that of hundreds at once.
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
from tests.bench.directory import ADMIN, SECRET, fill, token, user_id
from tests.bench.load import Measurement, Server, measure, post, wait_until_ready
from tests.bench.run import SERVE_ARGUMENTS, temporary_databases
from tests.conftest import make_settings

PASSWORD = "only for a measurement"
USER_COUNT, ROUNDS, SECONDS, READERS = 500, 5, 3.0, 4
CONCURRENT_LOGINS = (1, 16, 256)
"""The numbers of concurrent logins."""
READ_QUERY = orjson.dumps({"query": "{ users_me { id email } }"})
BARE_ARGUMENTS = ["-m", "tests.bench.sign_in", "bare"]


def login_request(number: int) -> bytes:
    """Return a login of one user after another."""
    credentials = {"email": f"signer{number % USER_COUNT}@example.com", "password": PASSWORD}
    return post("/auth/login", orjson.dumps(credentials), "").replace(b"Authorization: Bearer \r\n", b"")


def read_request(_: int) -> bytes:
    """Return a small query."""
    return post("/graphql/system", READ_QUERY, token(ADMIN))


async def verify_hashes() -> None:
    """Verify one hash repeatedly on the processors used for logins; print CPU µs per hash and hashes per second."""
    limit_cpu_affinity()
    passwords, hashed = PasswordService(), hash_password(PASSWORD)
    verify_password(PASSWORD, hashed)
    count, cpu_before, started = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() < started + SECONDS:
        await asyncio.gather(*(passwords.verify(PASSWORD, hashed) for _ in range(2 * HASH_THREADS)))
        count += 2 * HASH_THREADS
    seconds = time.perf_counter() - started
    print((time.process_time() - cpu_before) / count * 1e6, count / seconds)


async def measure_bare() -> tuple[float, float]:
    """Run the bare verification in a process of its own and return what it prints."""
    process = await asyncio.create_subprocess_exec(sys.executable, *BARE_ARGUMENTS, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    cpu, rate = map(float, output.split())
    return cpu, rate


async def set_passwords(url: str) -> None:
    """Give some users an email and a password to log in with."""
    hashed = hash_password(PASSWORD)
    async with open_system(make_settings(url)) as system, system.database.transaction() as connection:
        for number in range(USER_COUNT):
            values = {"email": f"signer{number}@example.com", "password": hashed, "status": "active"}
            await connection.execute(update(User).where(User.id == user_id(number)).values(**values))


async def measure_both(server: Server, logins_at_once: int) -> tuple[Measurement, Measurement]:
    """Measure concurrent logins, and reads at the same time."""
    logins, reads = await asyncio.gather(
        measure(server, login_request, logins_at_once, SECONDS), measure(server, read_request, READERS, SECONDS)
    )
    return logins, reads


def cpu_seconds(server: Server) -> float:
    """Return the seconds of CPU time, those of finished threads included, because each hash starts threads."""
    stats = [(process / "stat").read_text().rpartition(")")[2].split() for process in server.processes()]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")


async def measure_logins(server: Server) -> tuple[float, float]:
    """Measure sixteen concurrent logins: CPU µs per login, and logins per second."""
    before, started = cpu_seconds(server), time.perf_counter()
    rate = (await measure(server, login_request, 16, SECONDS)).rate
    count = rate * (time.perf_counter() - started)
    return (cpu_seconds(server) - before) / count * 1e6, rate


async def compare_reads(server: Server, logins_at_once: int) -> None:
    """Print the latency of reads during concurrent logins against an idle server: the median of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        idle = await measure(server, read_request, READERS, SECONDS)
        logins, reads = await measure_both(server, logins_at_once)
        rounds.append((reads.p99 / idle.p99, idle.p99, reads.p50, reads.p99, logins.rate))
    ratio, idle_p99, p50, p99, rate = (median(values) for values in zip(*rounds, strict=True))
    memory = " and ".join(f"{each:.0f}" for each in server.memories())  # of the serving and the hashing process
    summary = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {ratio:.1f} times the {idle_p99:.2f} ms of an idle server"
    print(f"{logins_at_once:4} concurrent logins, {rate:.1f}/s; reads meanwhile: {summary}; {memory} MB")


async def compare(url: str) -> None:
    """Print all measurements of one database."""
    server = Server(
        SERVE_ARGUMENTS, {**os.environ, "DATABASE_URL": url, "SECRET": SECRET, "LOG_LEVEL": "warn", **WITHOUT_DELAYS}
    )
    try:
        await wait_until_ready(server)
        await measure(server, login_request, 1, SECONDS)
        ratios = []
        for _ in range(ROUNDS):
            (cpu, rate), (our_cpu, our_rate) = await measure_bare(), await measure_logins(server)
            ratios.append((cpu / our_cpu, our_rate / rate))
            print(f"bare {cpu / 1e3:.0f} ms CPU, {rate:.1f}/s; login {our_cpu / 1e3:.0f} ms, {our_rate:.1f}/s")
        by_cpu, by_rate = (median(values) for values in zip(*ratios, strict=True))
        print(f"relative to bare verification: {by_cpu:.2f} by CPU, {by_rate:.2f} by rate")
        for logins_at_once in CONCURRENT_LOGINS:
            await compare_reads(server, logins_at_once)
    finally:
        server.stop()


WITHOUT_DELAYS = {"LOGIN_STALL_TIME": "0", "LOGIN_LOCKOUT_TTL": "1s", "SHUTDOWN_TIMEOUT": "60"}


async def main() -> None:
    """Measure on both databases."""
    if sys.argv[1:] == ["bare"]:
        await verify_hashes()
        return
    with tempfile.TemporaryDirectory():
        async with temporary_databases(["SQLite", "PostgreSQL"]) as urls:
            for kind, url in urls.items():
                print(f"\n{kind}")
                await fill(make_settings(url))
                await set_passwords(url)
                await compare(url)


if __name__ == "__main__":
    uvloop.run(main())
