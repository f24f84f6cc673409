"""The database of a process: its read pool, its write pool, and transactions that are retried after a conflict."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.core.config import TRANSACTION_POOLER, Settings
from app.core.errors import ServiceUnavailable
from app.db.base import POSTGRESQL
from app.db.database_url import parse_url
from app.db.driver_errors import DATABASE_UNAVAILABLE
from app.db.drivers import driver_errors
from app.db.email_index import select_has_email_index
from app.db.engine import (
    RESERVED_CONNECTIONS,
    concurrent_writes,
    create_autocommit_engine,
    create_maintenance_engine,
    create_write_engine,
    sqlstate,
    write_parameters,
)
from app.db.notifications import NotificationListener
from app.db.postgresql import local_parameters
from app.db.read_pool import ReadPool
from app.db.replica_monitor import ReplicaMonitor
from app.db.replicas import Replica, ReplicatedReadPool
from app.db.resource_pool import Owner, ResourcePool
from app.db.transaction import WriteTransaction
from app.db.write_pool import WRITERS_BUSY, WritePool
from app.tracing.tracer import Tracer

T = TypeVar("T")

CONFLICT_SQLSTATES = {"40001", "40P01"}
LOCK_NOT_AVAILABLE = "55P03"
MAX_TRANSACTION_ATTEMPTS = 6


class RetryTransaction(Exception):
    """What a transaction was planned with has changed: run it again."""


class Database:
    """One database: `reader` runs queries, `run_write` runs writes, each within a time limit.

    `transaction` and `run_in_transaction` are for maintenance, which may take any time.
    """

    def __init__(
        self,
        reader: ReadPool,
        write_engine: AsyncEngine,
        write_pool: WritePool,
        maintenance_engine: AsyncEngine,
        *,
        pooler: bool = False,
    ) -> None:
        self._url, self._pooler = write_engine.url, pooler
        self.reader = reader
        self.dialect: str = write_engine.dialect.name
        self._write_pool = write_pool
        self._engines = (maintenance_engine, write_engine)
        self._has_email_index = False

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Create the database that the settings name, not yet connected.

        Raises:
            OperatorError: The URL is not supported, or the SQLite file cannot be created.
        """
        url, size = parse_url(settings.database_url), settings.db_pool_size
        statement_timeout, pooler = settings.db_write_statement_timeout, settings.db_pooler == TRANSACTION_POOLER
        engine = create_write_engine(url, size, statement_timeout, pooler=pooler)
        write_pool = WritePool(
            engine,
            concurrent_writes(size),
            RESERVED_CONNECTIONS,
            max_waiting=settings.db_queue_size,
            statement_timeout=statement_timeout,
            transaction_timeout=settings.db_transaction_timeout,
            at_begin=local_parameters(write_parameters(statement_timeout)) if pooler else (),
        )
        maintenance_engine = create_maintenance_engine(url, pooler=pooler)
        has_replicas = settings.database_replica_urls and url.get_backend_name() == POSTGRESQL
        reader = (ReplicatedReadPool if has_replicas else ReadPool).open(url, settings)
        return cls(reader, engine, write_pool, maintenance_engine, pooler=pooler)

    def trace(self, tracer: Tracer) -> None:
        """Report all statements of queries and writes to a tracer from now on."""
        self.reader.trace(tracer)
        self._write_pool.trace(tracer)

    @property
    def pools(self) -> dict[str, ResourcePool[Any]]:
        """The pools that statements and transactions wait for, by name."""
        return {"read": self.reader.slots, **self._write_pool.permits}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a SQLAlchemy transaction without a time limit: committed when the block ends, rolled back if it raises.

        Raises:
            ServiceUnavailable: The database is unreachable, becomes so, or stays locked.
        """
        async with _connected(self._engines[0]) as connection:
            yield connection
            await connection.commit()

    @asynccontextmanager
    async def maintenance(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for statements that run in no transaction and without a time limit.

        Raises:
            ServiceUnavailable: The database is unreachable, becomes so, or stays locked.
        """
        engine = create_autocommit_engine(self._url, pooler=self._pooler)
        try:
            async with _connected(engine) as connection:
                yield connection
                await connection.commit()
        finally:
            await engine.dispose()

    async def run_in_transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in a SQLAlchemy transaction and return its result; run it again after a conflict.

        Raises:
            ServiceUnavailable: As `transaction`, or every attempt ended in a conflict.
        """

        async def attempt() -> T:
            async with self.transaction() as connection:
                return await work(connection)

        return await _retry_conflicts(attempt)

    async def run_write(
        self,
        work: Callable[[WriteTransaction], Awaitable[T]],
        *,
        exclusive: bool,
        background: bool = False,
        owner: Owner = None,
    ) -> T:
        """Run `work` in a write transaction on the driver and return its result; run it again after a conflict.

        `exclusive` excludes every other exclusive write of the directory until the transaction ends, so that whatever
        `work` reads of other rows stays as it is. A write whose outcome depends on the rows it locks itself needs no
        such lock. On SQLite every write is exclusive. In the `background`, where no client waits, a statement may take
        as long as a transaction. Owners take turns, and one runs only a part of the concurrent writes at once.

        Raises:
            ServiceUnavailable: The database is unreachable or busy, `work` takes too long, or every attempt ended in a
                conflict.
        """
        try:
            return await _retry_conflicts(
                lambda: self._write_pool.run(work, exclusive=exclusive, background=background, owner=owner)
            )
        finally:  # also after an error, as what was written may be saved
            if isinstance(self.reader, ReplicatedReadPool):
                await self.reader.note_write(owner)

    @asynccontextmanager
    async def checking_replicas(self) -> AsyncIterator[None]:
        """Let replicas serve reads, if there are any, while the block runs."""
        if not isinstance(self.reader, ReplicatedReadPool):
            yield
            return
        monitor = ReplicaMonitor(
            self.reader, lambda statement: self.run_write(lambda writer: writer.execute(statement), exclusive=False)
        )
        async with monitor.running():
            yield

    @property
    def replicas(self) -> Sequence[Replica]:
        """The replicas that may serve reads."""
        return self.reader.replicas if isinstance(self.reader, ReplicatedReadPool) else ()

    def listener(self, channel: str) -> NotificationListener:
        """Return a listener for PostgreSQL's notifications on a channel."""
        return NotificationListener(self._url, channel, pooler=self._pooler)

    async def has_email_index(self) -> bool:
        """Return whether the database itself keeps emails unique. Once it does, the answer is cached."""
        if not self._has_email_index:
            self._has_email_index = bool((await self.reader.fetch(select_has_email_index(self.dialect)))[0])
        return self._has_email_index

    async def dispose(self) -> None:
        """Close every connection. SQLite's write connections come last: closing them merges the WAL into the file."""
        await self.reader.dispose()
        await self._write_pool.dispose()
        for engine in self._engines:
            await engine.dispose()


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a connection; raise ServiceUnavailable if the database is unreachable, becomes so, or stays locked."""
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except PoolTimeout:
            raise ServiceUnavailable(WRITERS_BUSY) from None
        except driver_errors(engine.dialect.name).unreachable:
            raise ServiceUnavailable(DATABASE_UNAVAILABLE) from None
        try:
            yield connection
        except DBAPIError as error:
            if message := _unavailable_message(error):
                raise ServiceUnavailable(message) from error
            raise


async def _retry_conflicts(attempt: Callable[[], Awaitable[T]]) -> T:
    for number in range(MAX_TRANSACTION_ATTEMPTS):
        try:
            return await attempt()
        except RetryTransaction:
            pass
        except DBAPIError as error:
            if message := _unavailable_message(error):
                raise ServiceUnavailable(message) from error
            if sqlstate(error) not in CONFLICT_SQLSTATES:
                raise
        await asyncio.sleep(random.uniform(0, 0.01 * 2**number))  # noqa: S311 - spreads the retries, is no secret
    raise ServiceUnavailable(WRITERS_BUSY)


def _unavailable_message(error: DBAPIError) -> str | None:
    """Return the message for the client if the database is unreachable or locked, else None."""
    if error.connection_invalidated:
        return DATABASE_UNAVAILABLE
    is_locked = sqlstate(error) == LOCK_NOT_AVAILABLE or str(error.orig) == "database is locked"
    return WRITERS_BUSY if is_locked else None
