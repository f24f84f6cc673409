"""That time tells nothing of accounts: measured, so only at night."""

import asyncio
import math
import time

import pytest
from sqlalchemy import update

from app.core.hashing import DEFAULT_HASH_COST, hash_password
from app.db.models import Settings, User
from tests.http.test_graphql import served
from tests.world import uid

EACH = 200
AT_ONCE = 4
ONE_PERCENT = 1.63
"""The Kolmogorov-Smirnov statistic's coefficient at 1 %."""
USUAL = {
    "hash_memory_cost": DEFAULT_HASH_COST.memory,
    "hash_time_cost": DEFAULT_HASH_COST.time,
    "hash_parallelism": DEFAULT_HASH_COST.parallelism,
}
"""So that a process of its own hashes, as it does for those who serve."""
PASSWORD = "correct, but only here"


def told_apart(some: list[float], others: list[float]) -> bool:
    """Whether two samples come from different distributions, by a two-sample Kolmogorov-Smirnov test at 1 %."""
    n, m = len(some), len(others)
    furthest = max(
        abs(sum(one <= at for one in some) / n - sum(one <= at for one in others) / m) for at in (*some, *others)
    )
    return furthest > ONE_PERCENT * math.sqrt((n + m) / (n * m))


def test_samples_that_differ_are_told_apart():
    even = [number / EACH for number in range(EACH)]

    assert not told_apart(even, [one + 0.01 for one in even])
    assert told_apart(even, [one + 0.25 for one in even])


async def timed(client, email, password) -> float:
    begun = time.perf_counter()
    answer = await client.post("/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 401
    return time.perf_counter() - begun


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("vi@example.com", "wrong"), ("nobody@example.com", "wrong")),
        (("sue@example.com", PASSWORD), ("vi@example.com", "wrong")),
        (("ida@example.com", PASSWORD), ("nobody@example.com", "wrong")),
    ],
    ids=["existing or missing", "suspended or wrong", "invited or missing"],
)
async def test_whoever_is_refused_waits_as_long(writable_db, one, other):
    async with writable_db.database.transaction() as connection:
        for name in ("vi", "sue", "ida"):
            await connection.execute(update(User).where(User.id == uid(name)).values(password=hash_password(PASSWORD)))
        await connection.execute(update(Settings).values(auth_login_attempts=None))
    async with served(writable_db.settings.model_copy(update=USUAL)) as client:
        found: tuple[list[float], list[float]] = ([], [])
        for number in range(EACH // AT_ONCE):
            first = number % 2  # of those who come at once, each kind is ahead of the other as often as behind
            pair = (one, other)[:: -1 if first else 1]
            waits = await asyncio.gather(*(timed(client, *shown) for shown in pair * AT_ONCE))
            found[first].extend(waits[::2])
            found[1 - first].extend(waits[1::2])

    assert not told_apart(*found)
