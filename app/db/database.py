"""The unit of work: one transaction, committed when it is done, and done again where another got in its way."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.core.config import Settings
from app.core.errors import ServiceUnavailable
from app.db.email_index import has_email_index
from app.db.engine import UNREACHABLE, concurrent_writes, create_write_engine, parse_url, sqlstate
from app.db.read_pool import DATABASE_UNAVAILABLE, ReadPool
from app.db.transaction import WriteTransaction
from app.db.write_pool import WRITERS_BUSY, WritePool

T = TypeVar("T")

CONFLICTS = {"40001", "40P01"}
LOCKED = "55P03"
MAX_TRANSACTION_ATTEMPTS = 6


class RetryTransaction(Exception):
    """What a transaction was planned with is no longer so: it has to be done again."""


class Database:
    """One database: transactions to write in, and a `reader` beside them."""

    def __init__(self, engine: AsyncEngine, reader: ReadPool, slots: int) -> None:
        self._engine = engine
        self.reader = reader
        self.dialect: str = engine.dialect.name
        self._turns = WritePool(engine, slots)
        self._apart = False

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The database that `settings` name, not yet connected to.

        Raises Refusal for an address that isn't supported, or an SQLite file that can't be made.
        """
        url, size = parse_url(settings.database_url), settings.db_pool_size
        return cls(create_write_engine(url, size), ReadPool.open(url, settings), concurrent_writes(size))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Raises ServiceUnavailable when the database is away, goes away meanwhile, or stays locked.
        """
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self._engine.connect())
            except PoolTimeout:
                raise ServiceUnavailable(WRITERS_BUSY) from None
            except (*UNREACHABLE, DBAPIError):
                raise ServiceUnavailable(DATABASE_UNAVAILABLE) from None
            try:
                yield connection
                await connection.commit()
            except DBAPIError as error:
                if reason := _reason(error):
                    raise ServiceUnavailable(reason) from error
                raise

    async def run_in_transaction(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What `work` returns, run in one transaction of its own; run again when another's write got in its way.

        `work` may therefore run several times. Raises ServiceUnavailable when that doesn't help.
        """

        async def once() -> T:
            async with self.transaction() as connection:
                return await work(connection)

        return await _until_done(once)

    async def run_write(self, work: Callable[[WriteTransaction], Awaitable[T]], *, exclusive: bool) -> T:
        """Return what `work` returns, run in one write transaction on the driver; retried like `run_in_transaction`.

        `exclusive` keeps every other exclusive write of the directory out until the transaction ends, so that whatever
        `work` reads of other rows stays as it is. A write whose outcome depends on the rows it locks itself needs no
        such lock. On SQLite every write is exclusive.
        """
        return await _until_done(lambda: self._turns.run(work, exclusive=exclusive))

    async def has_email_index(self) -> bool:
        """Whether the database itself sees to it that no two users have one address."""
        if not self._apart:
            async with self.transaction() as connection:
                self._apart = await connection.run_sync(has_email_index)
        return self._apart

    async def dispose(self) -> None:
        """Close every connection: of SQLite's last those that write, which put into the file what stood beside it."""
        await self.reader.dispose()
        await self._turns.dispose()
        await self._engine.dispose()


async def _until_done(once: Callable[[], Awaitable[T]]) -> T:
    """What a transaction returns that is tried again where another's write got in its way."""
    for attempt in range(MAX_TRANSACTION_ATTEMPTS):
        try:
            return await once()
        except RetryTransaction:
            pass
        except DBAPIError as error:
            if reason := _reason(error):
                raise ServiceUnavailable(reason) from error
            if sqlstate(error) not in CONFLICTS:
                raise
        await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - spreads the retries, keeps no secret
    raise ServiceUnavailable(WRITERS_BUSY)


def _reason(error: DBAPIError) -> str | None:
    if error.connection_invalidated:
        return DATABASE_UNAVAILABLE
    return WRITERS_BUSY if sqlstate(error) == LOCKED or str(error.orig) == "database is locked" else None
