"""Which statements run on a replica, and which changes of rights wait for it; `tests/distributed` runs replicas."""

import time

import pytest
from sqlalchemy import func, select, text

from app.db import replicas
from app.db.database_url import parse_url
from app.db.engine import create_read_engine
from app.db.read_pool import ReadPool
from app.db.recent_writers import MAX_OWNERS, LocalWriters, RedisWriters
from app.db.replica_monitor import NOT_A_REPLICA, PositionHistory, ReplicaMonitor, covered_names, parse_position
from app.db.replicas import Replica, ReplicatedReadPool
from tests.conftest import HAS_POSTGRESQL, admin_url, make_settings

needs_postgresql = pytest.mark.skipif(not HAS_POSTGRESQL, reason="needs PostgreSQL")
NAME = select(func.current_database())
PRIMARY, REPLICA = "postgres", "template1"


@pytest.mark.parametrize(
    ("setting", "covered"),
    [
        ("FIRST 2 (s1, s2)", {"s1", "s2"}),
        ('any 2 (S1, "s2")', {"s1", "s2"}),
        ("2 (s1, s2)", {"s1", "s2"}),
        ("s1", {"s1"}),
        ("s1, s2", set()),
        ("FIRST 1 (s1, s2)", set()),
        ("ANY 1 (s1, s2)", set()),
        ("FIRST 1 (*)", set()),
        ("", set()),
    ],
)
def test_only_standbys_that_every_commit_waits_for_are_covered(setting, covered):
    assert covered_names(setting) == covered


def test_positions_are_compared_as_numbers():
    assert parse_position("0/9000000") < parse_position("0/10000000") < parse_position("1/0")


def test_the_history_tells_when_the_primary_was_at_a_position():
    history = PositionHistory()
    for position, when in [(10, 1.0), (20, 2.0), (20, 3.0), (30, 4.0)]:
        history.add(position, when)

    assert [history.latest_at(position) for position in (9, 10, 19, 20, 25, 99)] == [None, 1.0, 1.0, 3.0, 3.0, 4.0]


def test_the_lag_of_a_replica_is_the_age_of_the_newest_state_that_it_has():
    url = parse_url("postgresql://replica.example.com/users")
    replica = Replica(url, ReadPool.open(url, make_settings(url.render_as_string())))
    replica.measure_lag()
    unknown, replica.applied_until = replica.lag_seconds, time.monotonic() - 60
    replica.measure_lag()

    assert unknown is None
    assert replica.lag_seconds is not None
    assert replica.lag_seconds >= 60


@pytest.mark.parametrize(("pooler", "replica_pooler"), [("transaction", None), (None, "transaction")])
def test_primary_and_replicas_have_a_pooler_of_their_own(pooler, replica_pooler):
    url = "postgresql://primary.example.com/users"
    settings = make_settings(url, database_replica_urls=(url,), db_pooler=pooler, db_replica_pooler=replica_pooler)
    pool = ReplicatedReadPool.open(parse_url(url), settings)

    assert pool.has_pooler == (pooler is not None)
    assert pool.replicas[0].pool.has_pooler == (replica_pooler is not None)


def test_writers_are_forgotten_after_a_while_and_with_too_many_everyone_is_one():
    writers = LocalWriters()
    writers.remember("ann", 60)
    writers.remember("bob", -1)

    assert (writers.remembers("ann"), writers.remembers("bob"), writers.remembers("eve")) == (True, False, False)

    for number in range(MAX_OWNERS):
        writers.remember(str(number), 60)

    assert writers.remembers("ann")
    assert writers.remembers("eve")


async def test_without_redis_everyone_counts_as_a_writer():
    writers = RedisWriters("redis://127.0.0.1:1")
    await writers.add("ann", 60)

    assert await writers.contains("eve")
    await writers.dispose()


@pytest.fixture
async def pool():
    """A pool whose replica is another database of the same server, which tells where a statement ran."""
    settings = make_settings(admin_url(PRIMARY), database_replica_urls=(admin_url(REPLICA),))
    opened = ReplicatedReadPool.open(parse_url(settings.database_url), settings)
    yield opened
    await opened.dispose()


async def place_of(pool, owner):
    return (await pool.fetch(NAME, owner=owner))[0]


@needs_postgresql
async def test_a_replica_is_used_for_callers_while_its_lease_lasts(pool, monkeypatch):
    before = await place_of(pool, "ann")
    pool.replicas[0].extend_lease(time.monotonic())
    during = [await place_of(pool, "ann"), await place_of(pool, None)]
    pool.replicas[0].extend_lease(time.monotonic() - replicas.LEASE_SECONDS)

    assert (before, during, await place_of(pool, "ann")) == (PRIMARY, [REPLICA, PRIMARY], PRIMARY)
    assert pool.replicas[0].reads == 1


@needs_postgresql
async def test_who_has_just_written_reads_from_the_primary(pool):
    pool.replicas[0].extend_lease(time.monotonic())
    await pool.note_write("ann")
    pool.note_stale_access("bob")

    assert [await place_of(pool, owner) for owner in ("ann", "bob", "eve")] == [PRIMARY, PRIMARY, REPLICA]

    with replicas.reading_from_primary():
        assert await place_of(pool, "eve") == PRIMARY


@needs_postgresql
async def test_a_statement_that_fails_on_a_replica_runs_on_the_primary(pool):
    url = parse_url(admin_url("no_such_database"))
    broken = ReadPool(
        create_read_engine(url, 1, 5), size=1, reserved=0, max_waiting=1, queue_timeout=1, statement_timeout=5
    )
    pool.replicas = [Replica(url, broken)]
    pool.replicas[0].extend_lease(time.monotonic())

    assert await place_of(pool, "ann") == PRIMARY
    assert not pool.replicas[0].is_usable
    assert pool.replicas[0].fallbacks == 1


async def test_a_server_that_is_no_standby_is_never_used(writable_db):
    if writable_db.database.dialect == "sqlite":
        pytest.skip("SQLite has no replicas")
    url = writable_db.settings.database_url
    settings = make_settings(url, database_replica_urls=(admin_url(REPLICA),))
    pool = ReplicatedReadPool.open(parse_url(url), settings)

    async def write(statement):
        return await writable_db.database.run_write(lambda writer: writer.execute(statement), exclusive=False)

    monitor = ReplicaMonitor(pool, write)
    for _ in range(3):
        await monitor.check_once()

    assert (pool.replicas[0].state, pool.replicas[0].is_usable) == (NOT_A_REPLICA, False)
    assert pool.replicas[0].lag_seconds is None
    assert (await pool.fetch(text("SELECT replicas FROM rollcall_version")))[0]
    await pool.dispose()


async def commit_setting(system, statement, *, has_replicas=True):
    """What `synchronous_commit` is when a transaction with this statement commits; it is rolled back."""
    async with system.database.transaction() as connection:
        await connection.execute(text(f"UPDATE rollcall_version SET replicas = {has_replicas}"))
        await connection.execute(text("SET LOCAL synchronous_commit = local"))
        await connection.execute(text(statement))
        await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        setting = (await connection.execute(text("SHOW synchronous_commit"))).scalar()
        await connection.rollback()
        return setting


async def test_changes_of_what_someone_may_do_wait_for_replicas_and_others_do_not(restored_db):
    if restored_db.database.dialect == "sqlite":
        pytest.skip("SQLite has no replicas")
    session = "INSERT INTO directus_sessions (token, expires) VALUES ('x', now() + interval '{}')"
    waiting = [
        "UPDATE directus_policies SET name = name",
        "DELETE FROM directus_access",
        "UPDATE directus_users SET status = 'suspended'",
        "UPDATE directus_users SET token = NULL WHERE token IS NOT NULL",
        "DELETE FROM directus_users",
        session.format("1 day") + "; DELETE FROM directus_sessions",
        session.format("1 day") + "; UPDATE directus_sessions SET expires = now()",
        "TRUNCATE directus_sessions",
    ]
    others = [
        "UPDATE directus_users SET title = 'x', last_access = now()",
        "UPDATE directus_users SET status = status, role = role",
        session.format("1 day"),
        session.format("-1 day") + "; DELETE FROM directus_sessions",
    ]

    async def setting_after(statements, **options):
        first, _, second = statements.partition("; ")
        body = f"DO $$ BEGIN {first}; {second + ';' if second else ''} END $$"
        return await commit_setting(restored_db, body, **options)

    assert [await setting_after(statement) for statement in waiting] == ["remote_apply"] * len(waiting)
    assert [await setting_after(statement) for statement in others] == ["local"] * len(others)
    assert {await setting_after(statement, has_replicas=False) for statement in waiting} == {"local"}
