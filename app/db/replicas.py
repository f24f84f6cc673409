"""Read replicas: which statements run there, and until when a replica may be used."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import structlog
from sqlalchemy import URL, ClauseElement
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.bindings import Bindings
from app.core.config import Settings
from app.core.errors import SchemaChanged, ServiceUnavailable
from app.db.connection import Row
from app.db.database_url import parse_url
from app.db.driver_errors import DATABASE_UNAVAILABLE, StatementTimeout
from app.db.read_pool import ReadPool
from app.db.recent_writers import LocalWriters, RecentWriters, create_recent_writers
from app.db.resource_pool import Owner
from app.db.statement import EMPTY_BINDINGS, CompiledStatement

LEASE_SECONDS = 3.0
"""How long a replica may be used after the start of a check that found it up to date.

It is the same for all nodes: after so long a time no node uses a replica that has not applied a change.
"""
MARGIN_SECONDS = 1.0
"""What is added to the lease where something relies on its end."""
OWN_WRITE_SECONDS = LEASE_SECONDS + MARGIN_SECONDS
"""How long the reads of an owner go to the primary after a write."""
STALE_SECONDS = 0.25
"""How long they do after the access of an owner was not the same everywhere."""
IN_USE, NOT_CHECKED = "in_use", "not_checked"
SETTING = "DATABASE_REPLICA_URLS"

_on_primary: ContextVar[bool] = ContextVar("reads_on_primary", default=False)

log = structlog.get_logger(__name__)


@contextmanager
def reading_from_primary() -> Iterator[None]:
    """Run the statements of the block, and of tasks that it creates, on the primary.

    For code that must see what another caller has committed before.
    """
    token = _on_primary.set(True)
    try:
        yield
    finally:
        _on_primary.reset(token)


class Replica:
    """One replica, which may be used while its lease lasts."""

    def __init__(self, url: URL, pool: ReadPool) -> None:
        self.address = f"{url.host or 'localhost'}:{url.port or 5432}"
        self.pool = pool
        self.state = NOT_CHECKED
        self.reads = self.fallbacks = 0
        self.lag_seconds: float | None = None
        self.applied_until: float | None = None
        """Until when, by the monotonic clock, it is known to have applied what the primary wrote."""
        self._lease_until = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether the lease lasts."""
        return time.monotonic() < self._lease_until

    def extend_lease(self, checked: float) -> None:
        """Let the replica be used after a check that began at this time of the monotonic clock."""
        self._lease_until = checked + LEASE_SECONDS
        self._set_state(IN_USE)

    def end_lease(self, reason: str) -> None:
        """Stop using the replica at once."""
        self._lease_until = 0.0
        self._set_state(reason)

    def let_lapse(self, reason: str) -> None:
        """Leave the lease as it is, and note why it is not extended."""
        if not self.is_usable:
            self._set_state(reason)

    def measure_lag(self) -> None:
        """Set `lag_seconds` to the age of the newest state of the primary that the replica is known to have."""
        self.lag_seconds = None if self.applied_until is None else time.monotonic() - self.applied_until

    def _set_state(self, state: str) -> None:
        if state != self.state:
            self.state = state
            if state == IN_USE:
                log.info("replica_used", replica=self.address)
            else:
                log.warning("replica_not_used", replica=self.address, reason=state)


class ReplicatedReadPool(ReadPool):
    """A read pool of the primary that runs the statements of callers on replicas, as long as these may be used.

    A statement without an owner, that of an owner who has just written, and one that fails on a replica run on the
    primary.
    """

    def __init__(self, engine: AsyncEngine, **options: Any) -> None:
        super().__init__(engine, **options)
        self.replicas: Sequence[Replica] = ()
        self.writers: RecentWriters = LocalWriters()
        self._stale = LocalWriters()
        self._fallback_errors: tuple[type[Exception], ...] = (ServiceUnavailable, SchemaChanged, *self.errors.reported)
        self._next = 0

    @classmethod
    def open(cls, url: URL, settings: Settings) -> Self:
        """Create the pools of the primary and of the replicas, not yet connected.

        Raises:
            OperatorError: The URL of a replica is not supported.
        """
        pool = super().open(url, settings)
        urls = [parse_url(text, SETTING) for text in settings.database_replica_urls]
        replica_settings = settings.model_copy(update={"db_pooler": settings.db_replica_pooler})
        pool.replicas = [Replica(each, ReadPool.open(each, replica_settings)) for each in urls]
        pool.writers = create_recent_writers(settings)
        return pool

    async def fetch_one(
        self, statement: CompiledStatement | ClauseElement, bindings: Bindings = EMPTY_BINDINGS, owner: Owner = None
    ) -> Row:
        """Run a statement on a replica or on the primary; return and raise as a read pool does."""
        is_for_primary = owner is None or _on_primary.get() or self._stale.remembers(owner)
        replica = None if is_for_primary else self._next_usable()
        if replica is None or await self.writers.contains(owner) or not replica.is_usable:
            return await super().fetch_one(statement, bindings, owner)
        try:
            row = await replica.pool.fetch_one(statement, bindings, owner)
        except StatementTimeout:
            raise
        except self._fallback_errors as error:
            # It can't be reached, or is a moment behind, or a change on the primary conflicts with the statement.
            replica.fallbacks += 1
            if isinstance(error, ServiceUnavailable) and error.reason == DATABASE_UNAVAILABLE:
                replica.end_lease("unavailable")
            return await super().fetch_one(statement, bindings, owner)
        replica.reads += 1
        return row

    async def note_write(self, owner: Owner) -> None:
        """Let an owner read from the primary until every replica in use has what it has just written."""
        if owner is not None:
            await self.writers.add(owner, OWN_WRITE_SECONDS)

    def note_stale_access(self, owner: Owner) -> None:
        """Let an owner read from the primary for a moment: a replica has its access before the primary, or after it."""
        if owner is not None:
            self._stale.remember(owner, STALE_SECONDS)

    async def dispose(self) -> None:
        """Close every connection that is not in use."""
        await self.writers.dispose()
        for replica in self.replicas:
            await replica.pool.dispose()
        await super().dispose()

    def _next_usable(self) -> Replica | None:
        """Return a usable replica, each in turn; None if there is none."""
        for _ in self.replicas:
            self._next = (self._next + 1) % len(self.replicas)
            if self.replicas[self._next].is_usable:
                return self.replicas[self._next]
        return None
