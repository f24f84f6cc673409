"""The retention job deletes expired rows only, in one process at a time; background jobs survive failures."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import func, insert, select, update

from app.core.clock import utc_now
from app.core.errors import ServiceUnavailable
from app.db.models import ATTEMPTS, OUTBOX, Activity, Revision, Session
from app.flows import background_jobs
from app.flows.background_jobs import PeriodicJob
from app.flows.retention_job import PRUNE_INTERVAL, RetentionJob
from app.metrics.metrics import Metrics
from app.repositories.stores.retention import BATCH_SIZE, RetentionStore
from app.testing import open_system
from tests.base_data import uid
from tests.mail.server import (
    captured_job_logs,
    enqueue,
    execute,
    outbox_rows,
    table_rows,
    wait_until_sent,
    with_clock_ahead,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SESSIONS: Any = Session.__table__
ACTIVITY: Any = Activity.__table__
REVISIONS: Any = Revision.__table__


def with_retention(services, **retention):
    return replace(services, settings=services.settings.model_copy(update=retention))


async def add_attempts(services, *ages):
    rows = [{"subject": f"attempt {n}", "count": 1, "expires": utc_now() - age} for n, age in enumerate(ages)]
    await execute(services, *(insert(ATTEMPTS).values(row) for row in rows))


async def add_activity(services, number, age, *, parent=None):
    """Add an activity row of this age and a revision of it, both with this id."""
    target = {"collection": "directus_users", "item": "x"}
    activity = {"id": number, "action": "update", "timestamp": utc_now() - age, **target}
    revision = {"id": number, "activity": number, "parent": parent, **target}
    await execute(services, insert(ACTIVITY).values(activity), insert(REVISIONS).values(revision))


async def ids_in(services, table):
    return {row.id for row in await table_rows(services, table, table.c.id)}


async def test_expired_sessions_are_deleted_and_active_ones_stay(writable_db):
    lifetimes = {"expired": -MINUTE, "long expired": -DAY, "active": MINUTE}
    rows = [{"token": name, "user": uid("ada"), "expires": utc_now() + left} for name, left in lifetimes.items()]
    await execute(writable_db.services, *(insert(SESSIONS).values(row) for row in rows))

    assert await RetentionJob(writable_db.services).run_once() == 2
    assert [row.token for row in await table_rows(writable_db.services, SESSIONS, SESSIONS.c.token)] == ["active"]


async def test_expired_attempt_counters_are_deleted(writable_db):
    await add_attempts(writable_db.services, MINUTE, -MINUTE)

    assert await RetentionJob(writable_db.services).run_once() == 1
    assert [row.subject for row in await table_rows(writable_db.services, ATTEMPTS, ATTEMPTS.c.subject)] == [
        "attempt 1"
    ]


async def test_mails_that_an_earlier_version_sent_are_deleted_and_unsent_ones_never(writable_db):
    for _ in range(2):
        await enqueue(writable_db.services)
    await execute(writable_db.services, update(OUTBOX).where(OUTBOX.c.id == 1).values(sent=utc_now(), recipient=None))
    await execute(writable_db.services, update(OUTBOX).values(due=utc_now() - 30 * DAY))

    assert await RetentionJob(writable_db.services).run_once() == 1
    assert [row.id for row in await outbox_rows(writable_db.services)] == [2]


async def test_one_run_deletes_more_than_a_batch(writable_db):
    await add_attempts(writable_db.services, *[MINUTE] * (BATCH_SIZE + 20))
    store = RetentionStore(writable_db.services)

    assert await store.delete_expired_attempts() == BATCH_SIZE
    assert await RetentionJob(writable_db.services).run_once() == 20
    await add_attempts(writable_db.services, *[MINUTE] * (BATCH_SIZE + 20))
    assert (
        await RetentionJob(with_clock_ahead(writable_db.services, PRUNE_INTERVAL + MINUTE)).run_once()
        == BATCH_SIZE + 20
    )


async def test_one_of_several_processes_runs_a_task_once_per_interval(writable_db):
    async def run_all(elapsed, times=1):
        jobs = [RetentionJob(with_clock_ahead(services, elapsed)) for services in processes * times]
        return await asyncio.gather(*(job.run_once() for job in jobs))

    await add_attempts(writable_db.services, *[MINUTE] * 20)
    async with open_system(writable_db.settings) as other:
        processes = [writable_db.services, other.services]
        deleted = await run_all(timedelta(0), times=3)
        await add_attempts(writable_db.services, MINUTE)
        too_soon = await run_all(PRUNE_INTERVAL - MINUTE)
        when_due = await run_all(PRUNE_INTERVAL + MINUTE)

    assert sorted(deleted) == [0, 0, 0, 0, 0, 20]
    assert (sorted(too_soon), sorted(when_due)) == ([0, 0], [0, 1])


async def test_one_of_many_concurrent_claims_of_a_task_succeeds(writable_db):
    claims = await asyncio.gather(*(RetentionStore(writable_db.services).claim_task("a task", HOUR) for _ in range(8)))

    assert sorted(claims) == [False] * 7 + [True]


async def test_activity_is_never_deleted_by_default(writable_db):
    await add_activity(writable_db.services, 9001, 4000 * DAY)
    await RetentionJob(writable_db.services).run_once()

    assert 9001 in await ids_in(writable_db.services, ACTIVITY)


async def test_old_activity_is_deleted_with_its_revisions_but_not_with_later_child_revisions(writable_db):
    await add_activity(writable_db.services, 9001, 40 * DAY)
    await add_activity(writable_db.services, 9002, 40 * DAY, parent=9001)
    await add_activity(writable_db.services, 9003, 20 * DAY, parent=9002)
    await add_activity(writable_db.services, 9004, 20 * DAY, parent=9003)
    job = RetentionJob(with_retention(writable_db.services, activity_retention=30 * DAY))

    assert await job.run_once() == 2
    assert {9001, 9002, 9003, 9004} & await ids_in(writable_db.services, ACTIVITY) == {9003, 9004}
    parents = {row.id: row.parent for row in await table_rows(writable_db.services, REVISIONS, REVISIONS.c.id)}
    assert {number: parents.get(number, "deleted") for number in range(9001, 9005)} == {
        9001: "deleted",
        9002: "deleted",
        9003: None,
        9004: 9003,
    }


async def test_old_revisions_are_deleted_and_their_activity_stays(writable_db):
    await add_activity(writable_db.services, 9001, 40 * DAY)
    await add_activity(writable_db.services, 9002, 20 * DAY, parent=9001)
    job = RetentionJob(with_retention(writable_db.services, revisions_retention=30 * DAY, activity_retention=50 * DAY))

    assert await job.run_once() == 1
    assert {9001, 9002} <= await ids_in(writable_db.services, ACTIVITY)
    assert {9001, 9002} & await ids_in(writable_db.services, REVISIONS) == {9002}


async def test_parent_and_child_revisions_are_deleted_in_separate_batches(writable_db):
    for number in range(9001, 9008):
        await add_activity(writable_db.services, number, 40 * DAY, parent=number - 1 if number > 9001 else None)
    for method in ("delete_revisions", "delete_activity"):
        store = RetentionStore(writable_db.services, batch_size=3)
        deleted = [await getattr(store, method)(utc_now() - 30 * DAY) for _ in range(4)]
        assert deleted == [3, 3, 1, 0]

    assert not set(range(9001, 9008)) & await ids_in(writable_db.services, ACTIVITY)


class FailingJob(PeriodicJob):
    """A job whose runs raise these errors, one after another, and then succeed."""

    name, interval_seconds = "failing_job", 0.01

    def __init__(self, *errors):
        super().__init__(Metrics())
        self.errors, self.runs, self.succeeded = list(errors), 0, asyncio.Event()

    async def run_once(self):
        self.runs += 1
        if self.errors:
            raise self.errors.pop(0)
        self.succeeded.set()
        return 0


async def test_no_failure_ends_a_job():
    job = FailingJob(ServiceUnavailable("away"), RuntimeError("broken"), ServiceUnavailable("away"), OSError())
    with captured_job_logs() as events:
        async with job.running():
            await asyncio.wait_for(job.succeeded.wait(), 5)

    assert job.runs == 5
    assert [(event["event"], event["job"]) for event in events] == [
        ("job_waiting_for_database", "failing_job"),
        ("job_failed", "failing_job"),
        ("job_failed", "failing_job"),
    ]


async def test_an_unavailable_database_is_logged_once_and_retried_less_and_less_often(monkeypatch):
    monkeypatch.setattr(background_jobs, "MAX_INTERVAL_SECONDS", 0.05)
    job = FailingJob(*[ServiceUnavailable("away")] * 6)
    with captured_job_logs() as events:
        started = asyncio.get_running_loop().time()
        async with job.running():
            await asyncio.wait_for(job.succeeded.wait(), 5)
        elapsed = asyncio.get_running_loop().time() - started

    assert [event["event"] for event in events] == ["job_waiting_for_database"]
    assert 0.01 + 0.02 + 0.04 + 4 * 0.05 <= elapsed < 1


async def test_a_hanging_job_delays_shutdown_only_for_a_limited_time(monkeypatch):
    monkeypatch.setattr(background_jobs, "SHUTDOWN_SECONDS", 0.1)

    class HangingJob(FailingJob):
        async def run_once(self):
            self.succeeded.set()
            await asyncio.sleep(30)

    job = HangingJob()
    async with asyncio.timeout(5), job.running():
        await job.succeeded.wait()


async def test_the_running_server_deletes_expired_rows_and_sends_mail(writable_db, monkeypatch):
    from app.flows.outbox_worker import OutboxWorker
    from app.main import create_app

    monkeypatch.setattr(RetentionJob, "interval_seconds", 0.05)
    monkeypatch.setattr(OutboxWorker, "interval_seconds", 0.05)
    await add_attempts(writable_db.services, MINUTE)
    await enqueue(writable_db.services)
    count = select(func.count()).select_from(ATTEMPTS)
    async with asyncio.timeout(10), create_app(writable_db.settings).router.lifespan_context(None):
        await wait_until_sent(writable_db.services)
        while (await writable_db.services.reader.fetch(count))[0]:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)
