"""Periodic jobs of extensions: which process runs them, how they end, and what is logged."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from app.core.errors import ServiceUnavailable
from app.extensions import jobs
from app.extensions.contents import JobSpec
from app.extensions.jobs import ExtensionJob
from app.testing import open_system
from tests.flows.clock import FrozenClock
from tests.http.test_graphql import served
from tests.logs import captured_logs

HOUR, PRIVATE = timedelta(hours=1), "very private"


async def test_one_of_several_processes_runs_a_job_once_per_interval(writable_db):
    runs, clock = [], FrozenClock()

    async def count(directory):
        runs.append(await directory["users"].count())

    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_system(writable_db.settings, clock)) for _ in range(3)]
        processes = [ExtensionJob(JobSpec("count", count, HOUR), node.services) for node in nodes]
        for hours, expected in ((0, 1), (0, 1), (0.9, 1), (0.2, 2), (5, 3)):
            clock.advance(timedelta(hours=hours))
            await asyncio.gather(*(process.run_once() for process in processes))
            assert len(runs) == expected


async def test_jobs_are_independent(writable_db):
    runs = []

    def job(name):
        async def run(directory):
            runs.append(name)

        return ExtensionJob(JobSpec(name, run, HOUR), writable_db.services)

    assert [await job(name).run_once() for name in ("a.first", "a.second", "a.first")] == [1, 1, 0]
    assert runs == ["a.first", "a.second"]


async def test_a_server_runs_jobs_in_the_background_and_stops_them(writable_db):
    started, cancelled = asyncio.Event(), asyncio.Event()

    def register(extend):
        @extend.job(every=timedelta(seconds=1))
        async def endless(directory):
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

    async with served(writable_db.settings, extensions=[register]):
        with captured_logs(jobs) as events:
            async with asyncio.timeout(5):
                await started.wait()
                await cancelled.wait()
            await asyncio.sleep(0)
    assert [(event["event"], event["error"]) for event in events] == [("extension_job_failed", "TimeoutError")]
    assert events[0]["job"].startswith("tests.extensions.test_jobs.")


async def test_a_failing_job_is_logged_without_its_text_and_runs_again_after_the_interval(writable_db):
    clock = FrozenClock()

    async def fail(directory):
        raise ValueError(PRIVATE)

    async with open_system(writable_db.settings, clock) as system:
        job = ExtensionJob(JobSpec("fail", fail, HOUR), system.services)
        with captured_logs(jobs) as events:
            assert [await job.run_once(), await job.run_once()] == [1, 0]
            clock.advance(HOUR)
            assert await job.run_once() == 1

    assert [(event["job"], event["error"]) for event in events] == [("fail", "ValueError")] * 2
    assert PRIVATE not in repr(events)


async def test_a_job_without_a_database_waits_for_it(writable_db):
    async def unavailable(directory):
        raise ServiceUnavailable

    with pytest.raises(ServiceUnavailable):
        await ExtensionJob(JobSpec("waits", unavailable, HOUR), writable_db.services).run_once()
