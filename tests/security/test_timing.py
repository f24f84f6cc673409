"""Response times do not disclose which accounts exist. Statistical, so it runs only nightly."""

import asyncio
import math
import time

import pytest
from sqlalchemy import update

from app.core.hash_parameters import DEFAULT_HASH_COST
from app.core.hashing import hash_password
from app.db.models import Settings, User
from tests.base_data import uid
from tests.http.test_graphql import served

SAMPLES = 200
CONCURRENT_PAIRS = 4
KS_COEFFICIENT = 1.63
"""The Kolmogorov-Smirnov statistic's coefficient at 1 %."""
DEFAULT_HASH_SETTINGS = {
    "hash_memory_cost": DEFAULT_HASH_COST.memory,
    "hash_time_cost": DEFAULT_HASH_COST.time,
    "hash_parallelism": DEFAULT_HASH_COST.parallelism,
}
"""The default hash cost, so that a separate process hashes, as in production."""
PASSWORD = "correct, but only here"


def are_different(first: list[float], second: list[float]) -> bool:
    """Whether two samples come from different distributions, by a two-sample Kolmogorov-Smirnov test at 1 %."""
    n, m = len(first), len(second)
    max_distance = max(
        abs(sum(sample <= value for sample in first) / n - sum(sample <= value for sample in second) / m)
        for value in (*first, *second)
    )
    return max_distance > KS_COEFFICIENT * math.sqrt((n + m) / (n * m))


def test_the_statistic_detects_different_distributions():
    uniform = [number / SAMPLES for number in range(SAMPLES)]

    assert not are_different(uniform, [value + 0.01 for value in uniform])
    assert are_different(uniform, [value + 0.25 for value in uniform])


async def timed(client, email, password) -> float:
    started = time.perf_counter()
    response = await client.post("/auth/login", json={"email": email, "password": password})
    assert response.status_code == 401
    return time.perf_counter() - started


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("first_login", "second_login"),
    [
        (("vi@example.com", "wrong"), ("nobody@example.com", "wrong")),
        (("sue@example.com", PASSWORD), ("vi@example.com", "wrong")),
        (("ida@example.com", PASSWORD), ("nobody@example.com", "wrong")),
        (("sam@example.com", PASSWORD), ("nobody@example.com", "wrong")),
    ],
    ids=["existing or missing", "suspended or wrong", "invited or missing", "linked to a provider or missing"],
)
async def test_all_failed_logins_take_equally_long(writable_db, first_login, second_login):
    async with writable_db.database.transaction() as connection:
        for name in ("vi", "sue", "ida", "sam"):
            await connection.execute(update(User).where(User.id == uid(name)).values(password=hash_password(PASSWORD)))
        await connection.execute(update(User).where(User.id == uid("sam")).values(provider="github"))
        await connection.execute(update(Settings).values(auth_login_attempts=None))
    async with served(writable_db.settings.model_copy(update=DEFAULT_HASH_SETTINGS)) as client:
        durations: tuple[list[float], list[float]] = ([], [])
        for number in range(SAMPLES // CONCURRENT_PAIRS):
            offset = number % 2  # among concurrent requests, each kind is sent first equally often
            pair = (first_login, second_login)[:: -1 if offset else 1]
            seconds = await asyncio.gather(*(timed(client, *credentials) for credentials in pair * CONCURRENT_PAIRS))
            durations[offset].extend(seconds[::2])
            durations[1 - offset].extend(seconds[1::2])

    assert not are_different(*durations)
