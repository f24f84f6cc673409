"""Checks once a second which replicas may serve reads, and ends waits for one that no node uses any more."""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import orjson
import structlog
from sqlalchemy import Integer, Text, TextClause, bindparam, text
from sqlalchemy.exc import DBAPIError

from app.core.cancellation import background_task
from app.core.errors import RollcallError, SchemaChanged, ServiceUnavailable
from app.db.driver_errors import DATABASE_UNAVAILABLE
from app.db.replicas import LEASE_SECONDS, MARGIN_SECONDS, Replica, ReplicatedReadPool

INTERVAL_SECONDS = 1.0
CATCH_UP_SECONDS, CATCH_UP_POLL_SECONDS = 0.5, 0.02
"""How long a check waits for a replica to reach the position of the primary, and how often it looks."""
CHECKS_BEFORE_USE = 2
"""Checks in a row in which a replica must be synchronous: a commit that began before it was may not wait for it."""
WAIT_SECONDS = LEASE_SECONDS + MARGIN_SECONDS
"""How long a write waits for a replica from when it was first seen; then no node uses that replica."""
MAX_POSITIONS = 3600
"""Positions of the primary that are remembered, one a second, to tell how far a replica lags."""
UNAVAILABLE, BEHIND, NOT_A_REPLICA, NOT_SYNCHRONOUS = "unavailable", "behind", "not_a_replica", "not_synchronous"
SYNCHRONOUS = re.compile(r"\s*(?:FIRST\s+|ANY\s+)?(?P<count>\d+)\s*\((?P<names>.*)\)\s*", re.IGNORECASE)

PRIMARY = text("""
    SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn()::text END,
        current_setting('synchronous_standby_names'), (SELECT replicas FROM rollcall_version),
        (SELECT coalesce(json_agg(lower(application_name)), '[]')::text FROM (
            SELECT application_name FROM pg_stat_replication WHERE application_name IS NOT NULL
            GROUP BY application_name
            HAVING count(*) = 1 AND bool_and(state = 'streaming' AND sync_state IN ('sync', 'quorum'))
        ) AS synchronous),
        (SELECT coalesce(json_agg(json_build_array(pid, query_start::text)), '[]')::text FROM pg_stat_activity
            WHERE wait_event = 'SyncRep' AND usename = current_user AND application_name = 'rollcall')
    """)
REPLICA = text("SELECT pg_is_in_recovery(), current_setting('cluster_name'), pg_last_wal_replay_lsn()::text")
END_WAIT = text("""
    SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
    WHERE pid = :pid AND query_start::text = :started AND wait_event = 'SyncRep'
    """).bindparams(bindparam("pid", type_=Integer), bindparam("started", type_=Text))
SET_FLAG = text("UPDATE rollcall_version SET replicas = true WHERE NOT replicas")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PrimaryState:
    """What the primary says at one moment: its position, and the names of the standbys that every change waits for.

    It is not `ready` before the triggers know that there are replicas.
    """

    position: int
    ready: bool
    synchronous: frozenset[str]
    waits: tuple[tuple[int, str], ...]
    """Processes of writes that wait for a standby, each with the start of its commit."""


class PositionHistory:
    """When the primary was at which position in its write-ahead log."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, float]] = deque(maxlen=MAX_POSITIONS)

    def add(self, position: int, when: float) -> None:
        """Remember that the primary was at this position at this time of the monotonic clock."""
        self._entries.append((position, when))

    def latest_at(self, position: int) -> float | None:
        """Return the latest time at which the primary was not beyond a position; None if it is unknown."""
        return next((when for reached, when in reversed(self._entries) if reached <= position), None)


class ReplicaMonitor:
    """Extends the leases of replicas that are synchronous and up to date."""

    def __init__(self, pool: ReplicatedReadPool, write: Callable[[TextClause], Awaitable[object]]) -> None:
        self._pool, self._write = pool, write
        self._errors: tuple[type[Exception], ...] = (RollcallError, SchemaChanged, DBAPIError, *pool.errors.raised)
        self._synchronous_checks: dict[Replica, int] = {}
        self._waits: dict[tuple[int, str], float] = {}
        self._history = PositionHistory()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Check in the background while the block runs; the first check ends before it begins."""
        await self._check_and_log()
        async with background_task(self._run(), "replica_monitor"):
            yield

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self._check_and_log()

    async def _check_and_log(self) -> None:
        try:
            await self.check_once()
        except Exception:  # the leases lapse, and the next check may succeed
            log.exception("job_failed", job="replica_monitor")

    async def check_once(self) -> None:
        """Check every replica, and extend the leases of those that are up to date."""
        checked = time.monotonic()
        try:
            state = await self._read_primary()
        except self._errors:
            for replica in self._pool.replicas:
                replica.let_lapse("primary_unavailable")
                replica.measure_lag()
            self._synchronous_checks.clear()
            return
        self._history.add(state.position, checked)
        await asyncio.gather(*(self._check(replica, state, checked) for replica in self._pool.replicas))
        with suppress(*self._errors):
            await self._end_waits(state, checked)

    async def _read_primary(self) -> PrimaryState:
        position, names, has_flag, standbys, waits = await self._pool.fetch_one(PRIMARY)
        if position is None:
            raise ServiceUnavailable(DATABASE_UNAVAILABLE)
        if not has_flag:
            await self._write(SET_FLAG)
        covered = covered_names(names) & set(orjson.loads(standbys))
        return PrimaryState(
            parse_position(position), has_flag, frozenset(covered), tuple(map(tuple, orjson.loads(waits)))
        )

    async def _check(self, replica: Replica, state: PrimaryState, checked: float) -> None:
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                name, is_replica = await self._wait_for(replica, state.position)
        except TimeoutError:
            replica.let_lapse(BEHIND)
            return
        except self._errors:
            replica.let_lapse(UNAVAILABLE)
            self._synchronous_checks.pop(replica, None)
            return
        finally:
            replica.measure_lag()
        is_synchronous = is_replica and name in state.synchronous
        checks = self._synchronous_checks.get(replica, 0) + 1 if is_synchronous and state.ready else 0
        self._synchronous_checks[replica] = checks
        if checks >= CHECKS_BEFORE_USE:
            replica.extend_lease(checked)
        elif not is_synchronous:
            replica.end_lease(NOT_SYNCHRONOUS if is_replica else NOT_A_REPLICA)

    async def _wait_for(self, replica: Replica, position: int) -> tuple[str, bool]:
        """Return the name of a replica, and whether it is one, as soon as it has reached a position."""
        while True:
            is_replica, name, replayed = await replica.pool.fetch_one(REPLICA)
            applied = parse_position(replayed) if is_replica and replayed is not None else None
            self._note_applied(replica, applied)
            if not is_replica or (applied is not None and applied >= position):
                return name.lower(), is_replica
            await asyncio.sleep(CATCH_UP_POLL_SECONDS)

    def _note_applied(self, replica: Replica, position: int | None) -> None:
        known = None if position is None else self._history.latest_at(position) or replica.applied_until
        replica.applied_until = known

    async def _end_waits(self, state: PrimaryState, now: float) -> None:
        """End the wait of each write that has waited for longer than any node uses a replica that is not up to date.

        The write is saved already; its client then gets the usual response.
        """
        self._waits = {wait: self._waits.get(wait, now) for wait in state.waits}
        for (pid, started), first_seen in self._waits.items():
            if now - first_seen >= WAIT_SECONDS:
                ended = await self._pool.fetch_one(END_WAIT.bindparams(pid=pid, started=started))
                if ended[0]:
                    log.warning("replica_wait_ended", seconds=round(now - first_seen, 1))


def covered_names(setting: str) -> set[str]:
    """Return the standbys that every commit waits for, by the value of `synchronous_standby_names`.

    `FIRST n` and `ANY n` cover all that they list if they list n at most; `*` covers none in particular.
    """
    match = SYNCHRONOUS.fullmatch(setting)
    count, listed = (int(match["count"]), match["names"]) if match else (1, setting)
    names = {name.strip().strip('"').lower() for name in listed.split(",")} - {""}
    return names if len(names) <= count and "*" not in names else set()


def parse_position(text_: str) -> int:
    """Return a position in the write-ahead log as a number."""
    high, low = text_.split("/")
    return (int(high, 16) << 32) + int(low, 16)
