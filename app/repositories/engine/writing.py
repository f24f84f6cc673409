"""One caller's changes, each a transaction of its own: prepared, done, judged, and done again where rights moved."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import IntegrityError

from app.core.caller import Caller, ClientInfoFactory, no_client_info
from app.core.errors import (
    FailedValidation,
    Forbidden,
    InvalidForeignKey,
    RecordNotUnique,
    RollcallError,
    UnprocessableContent,
)
from app.db.database import RetryTransaction
from app.db.integrity import ConstraintViolation, parse_integrity_error
from app.db.transaction import WriteTransaction
from app.policy.rules import Access
from app.policy.write_resolver import require_rules
from app.query.collection import USERS, Collection
from app.repositories.engine.collection_rules import DirectoryRules
from app.repositories.engine.commands import WriteCommand, requires_exclusive_lock
from app.repositories.engine.reading import ReadRepository
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.services import Services
from app.storage.cleanup import remove_files

T = TypeVar("T")
ResultReader = Callable[[UnitOfWork, list[Any]], Awaitable[T | None]]
"""What is told of the rows that were written, by their keys; None where their writer may see nothing of them."""


@dataclass(frozen=True, slots=True)
class WriteResult(Generic[T]):
    """The keys of the rows that were written, and what is told of them, where that was asked."""

    keys: list[Any]
    told: T | None = None


class DryRunRollback(Exception):
    """A change could be made: all of it is taken back."""


class NeedsExclusiveLock(Exception):
    """A change turned out to be of somebody's rights: it has to be made while nobody else writes."""


class WriteRepository(ReadRepository):
    """A collection in the hands of one caller who may change it."""

    def __init__(
        self,
        collection: Collection,
        caller: Caller,
        services: Services,
        rules: DirectoryRules,
        via: ClientInfoFactory = no_client_info,
    ) -> None:
        super().__init__(collection, caller, services)
        self._rules, self._via = rules, via

    async def write(self, change: WriteCommand, answer: ResultReader[T] | None = None) -> WriteResult[T]:
        """Does it, and has it answered within the same transaction."""
        await self._prepare(change)
        try:
            try:
                return await self._done(change, answer, exclusive=requires_exclusive_lock(change))
            except NeedsExclusiveLock:
                return await self._done(change, answer, exclusive=True)
        except IntegrityError as error:
            raise _refusal(error, change) from None

    async def dry_run(self, change: WriteCommand) -> None:
        """Raises what doing it would, and does nothing."""

        async def end(work: UnitOfWork, _: list[Any]) -> None:
            await self._confirm(work)
            raise DryRunRollback

        with suppress(DryRunRollback):
            await self.write(change, end)

    async def _done(self, change: WriteCommand, answer: ResultReader[T] | None, *, exclusive: bool) -> WriteResult[T]:
        database, accesses = self._services.database, 0
        bared: Iterable[str] = ()
        apart = await database.has_email_index()
        exclusive = exclusive or not apart

        async def work(writer: WriteTransaction) -> WriteResult[T]:
            nonlocal accesses, bared
            settled = (
                exclusive and not writer.postgresql
            )  # there nobody else writes, and what this writes shows at once
            accesses += 1
            access = await self._access(writer if exclusive else None, again=accesses > 1)
            work = UnitOfWork(
                writer, self._caller, self._via(), access, self._services, self._rules, settled=settled, apart=apart
            )
            try:
                keys = await change.apply(work)
                if work.affected.requires_exclusive_lock(self._services.users) and not exclusive:
                    raise NeedsExclusiveLock
                await self._check(work)
                told = await answer(work, keys) if answer else None
            except RollcallError:
                await self._confirm(work)  # a right that is new is never denied from memory
                raise
            if told is None:
                await self._confirm(work)
            bared = work.files.bared
            return WriteResult(keys, told)

        written = await database.run_write(work, exclusive=exclusive)
        await remove_files(self._services.storage, bared)
        return written

    async def _confirm(self, work: UnitOfWork) -> None:
        """Raises Overtaken where what was planned with isn't so any more."""
        if not work.isolated:
            work.check_access_current(await self._services.access_cache.fetch_state(self._caller, work.writer))

    async def _check(self, work: UnitOfWork) -> None:
        """Whether all that was written may stand."""
        await work.check_written_rows()
        for check in self._rules.checks:
            await check(work)

    async def _access(self, writer: WriteTransaction | None, *, again: bool) -> Access:
        """The caller's access, read `again` where it was stale; a `writer` says so before anything is written."""
        book = self._services.access_cache
        access = await (book.reload if again and not self._caller.system else book.access)(self._caller)
        if writer is not None and not await book.is_current(self._caller, access, writer):
            raise RetryTransaction
        return access

    async def _prepare(self, change: WriteCommand) -> None:
        """What can be refused, and what takes long, before anybody has to wait for it."""
        payloads = [inner for payload in change.payloads() for inner in payload.walk()]
        if not any(inner.collection is USERS for inner in payloads):
            return
        book = self._services.access_cache
        access = await book.access(self._caller)
        try:
            require_rules(access, change.action, self.collection)
        except Forbidden:
            if await book.revalidate(self._caller, access) is access:
                raise
        for inner in payloads:
            await self._rules.of(inner.collection).prepare(inner, self._services)


def _refusal(error: IntegrityError, change: WriteCommand) -> RollcallError:
    """What the database refused: a value that another row has, rows in use, or what a neighbour wrote meanwhile."""
    broken = parse_integrity_error(error)
    match broken.kind:
        case "unique":
            return RecordNotUnique(broken.table, broken.column, _written(change, broken))
        case "null":
            return FailedValidation(broken.column, "required")
        case "foreign":
            return InvalidForeignKey(broken.table, broken.column)
        case "referenced":
            return UnprocessableContent("Rows that aren't served here still point at it")
        case _:
            return UnprocessableContent("It contradicts what is stored")


def _written(change: WriteCommand, broken: ConstraintViolation) -> Any:
    """The value that somebody wanted to write where a rule was broken; of what is concealed, nothing."""
    for outer in change.payloads():
        for payload in outer.walk():
            member = payload.collection.fields.get(broken.column)
            if payload.collection.name == broken.table and member in payload.values:
                return None if member.concealed else payload.values[member]
    return None
