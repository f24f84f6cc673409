"""The metrics that are read from the services of a process: pools, queues, and the outbox."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.core.timestamps import parse_stored_time
from app.db.replicas import Replica
from app.db.resource_pool import ResourcePool
from app.flows.background_jobs import PeriodicJob
from app.metrics.instruments import Kind, Labels, Reading
from app.metrics.metrics import Metrics
from app.repositories.services import Services
from app.repositories.stores.outbox import OutboxQueue


def register_readings(services: Services) -> None:
    """Register what the pools and queues of these services show at any time."""
    metrics, database = services.metrics, services.database
    pools: dict[str, ResourcePool[Any]] = {**database.pools, "planning": services.planning.turns}

    def of_pools(value: Callable[[ResourcePool[Any]], float]) -> Reading:
        return lambda: {(name,): value(pool) for name, pool in pools.items()}

    metrics.gauge(
        "pool_size", "Statements, transactions or plannings that may run", of_pools(lambda p: p.statistics.size), "pool"
    )
    metrics.gauge(
        "pool_in_use", "Statements, transactions or plannings that run", of_pools(lambda pool: pool.in_use), "pool"
    )
    metrics.gauge("pool_waiting", "Requests that wait for a pool", of_pools(lambda pool: pool.waiting), "pool")
    metrics.counter_from("pool_waits", "Waits for a pool", of_pools(lambda pool: pool.statistics.waits), "pool")
    metrics.counter_from(
        "pool_wait_seconds", "Time spent waiting for a pool", of_pools(lambda p: p.statistics.seconds_waited), "pool"
    )
    metrics.counter_from(
        "pool_rejections", "Waits that ended without a turn", of_pools(lambda pool: pool.statistics.rejected), "pool"
    )
    metrics.counter_from("read_statements", "Statements of the read pool", lambda: {(): database.reader.statements})
    _register_replicas(metrics, database.replicas)
    hashers = {("passwords",): services.passwords, ("utility",): services.utility_hasher}
    metrics.gauge(
        "hash_queue",
        "Passwords that are hashed or wait for it",
        lambda: {labels: hasher.pending for labels, hasher in hashers.items()},
        "queue",
    )


def _register_replicas(metrics: Metrics, replicas: Sequence[Replica]) -> None:
    def of_replicas(value: Callable[[Replica], float]) -> Reading:
        return lambda: {(replica.address,): value(replica) for replica in replicas}

    def lags() -> dict[Labels, float]:
        return {(replica.address,): replica.lag_seconds for replica in replicas if replica.lag_seconds is not None}

    in_use = of_replicas(lambda replica: replica.is_usable)
    metrics.gauge("replica_in_use", "Whether a replica serves reads", in_use, "replica")
    metrics.gauge("replica_lag_seconds", "How old the rows of a replica may be", lags, "replica", kind=Kind.MAX)
    metrics.counter_from("replica_reads", "Statements run on a replica", of_replicas(lambda r: r.reads), "replica")
    metrics.counter_from(
        "replica_fallbacks",
        "Statements run on the primary because they failed on a replica",
        of_replicas(lambda replica: replica.fallbacks),
        "replica",
    )


class OutboxMetrics(PeriodicJob):
    """Reads regularly how many mails are queued."""

    name = "outbox_metrics"
    interval_seconds = 10.0

    def __init__(self, services: Services) -> None:
        super().__init__(services.metrics, tracer=services.tracer)
        self._queue, self._clock = OutboxQueue(services), services.clock
        self._values = {"mails": 0.0, "retried": 0.0, "overdue": 0.0, "oldest": 0.0}
        self._register("outbox_mails", "Queued mails", "mails")
        self._register("outbox_retried_mails", "Queued mails of which an attempt has failed", "retried")
        self._register("outbox_overdue_seconds", "How long the next attempt to send a mail is overdue", "overdue")
        self._register("outbox_oldest_seconds", "How long the oldest queued mail has been queued", "oldest")

    async def run_once(self) -> int:
        """Read the values; return 0."""
        summary = await self._queue.summary()
        self._values = {
            "mails": summary.count,
            "retried": summary.retried,
            "overdue": self._seconds_since(summary.earliest_due),
            "oldest": self._seconds_since(summary.earliest_queued),
        }
        return 0

    def _seconds_since(self, stored: datetime | str | None) -> float:
        """Return the seconds since a time, 0 if there is none, or it is still to come."""
        moment = parse_stored_time(stored) if isinstance(stored, str) else stored
        return max(self._clock() - moment, timedelta(0)).total_seconds() if isinstance(moment, datetime) else 0.0

    def _register(self, name: str, documentation: str, value: str) -> None:
        self._metrics.gauge(name, documentation, lambda: {(): self._values[value]}, kind=Kind.MAX)
