"""WriteRepository: runs write commands in transactions, and retries them."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import orjson
from sqlalchemy.exc import IntegrityError

from app.core.caller import Caller, ClientInfoFactory, no_client_info
from app.core.errors import Forbidden, RollcallError, ServiceUnavailable
from app.core.request_budget import RequestBudget
from app.db.database import RetryTransaction
from app.db.transaction import WriteTransaction
from app.policy.access_cache import StalePlan
from app.policy.rules import Access
from app.policy.write_resolver import WriteResolver
from app.query.collection import USERS, Collection
from app.query.scoped import ScopedRows
from app.query.sql_writes import rule_matches
from app.repositories.engine.collection_rules import DirectoryRules, OwnPayloads
from app.repositories.engine.commands import (
    Delete,
    SelectedKeys,
    StaleKeys,
    Update,
    WriteCommand,
    check_count,
    requires_exclusive_lock,
)
from app.repositories.engine.constraints import RowRejected, violation_error
from app.repositories.engine.custom_values import hash_values
from app.repositories.engine.reading import ACCESS_CHANGED_TOO_OFTEN, MAX_READ_ATTEMPTS, ReadRepository
from app.repositories.engine.slow_writes import (
    RuleMatches,
    SlowWrite,
    check_slow_writes,
    find_slow_writes,
    has_slow_field,
)
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.hooks import WriteInHookError, in_before_hook
from app.repositories.services import Services
from app.storage.cleanup import remove_files

T = TypeVar("T")
ResultReader = Callable[[UnitOfWork, list[Any]], Awaitable[T | None]]
"""Reads the result of a write by the keys of the written rows; None if the caller may not read them."""


@dataclass(frozen=True, slots=True)
class WriteResult(Generic[T]):
    """The keys of the written rows and, if requested, the result read within the same transaction."""

    keys: list[Any]
    result: T | None = None


class DryRunRollback(Exception):
    """Rolls a dry run back after everything was checked."""


class NeedsExclusiveLock(Exception):
    """A concurrent write turned out to affect permissions: it must run again under the exclusive lock."""


class WriteRepository(ReadRepository):
    """The rows of a collection that one caller can see and change: runs write commands in transactions.

    All writes share a `budget`; without it, each has its own.
    """

    def __init__(
        self,
        collection: Collection,
        caller: Caller,
        services: Services,
        rules: DirectoryRules,
        via: ClientInfoFactory = no_client_info,
        budget: RequestBudget | None = None,
    ) -> None:
        super().__init__(collection, caller, services)
        self._rules, self._via, self._budget = rules, via, budget

    async def write(self, command: WriteCommand, read_result: ResultReader[T] | None = None) -> WriteResult[T]:
        """Run a write command in one transaction, in which `read_result` also reads its result.

        The command is run again if the caller's access changes meanwhile, or if it needs the exclusive lock. A query
        that selects its rows runs before the transaction, with the time limit of a read, while nobody waits for it.

        Raises:
            RollcallError: The write is not allowed, is invalid, or breaks a constraint; nothing has been written.
        """
        if in_before_hook.get():
            raise WriteInHookError
        with self._services.tracer.span(f"write {self.collection.name}"):
            return await self._write(command, read_result)

    async def _write(self, command: WriteCommand, read_result: ResultReader[T] | None) -> WriteResult[T]:
        budget = self._budget or self._services.new_budget()
        selected = await self._select_keys(command)
        await self._prepare(selected, budget)
        for _ in range(MAX_READ_ATTEMPTS):
            with suppress(StaleKeys):
                return await self._run_translated(selected, read_result, budget)
            selected = await self._select_keys(command)
        raise ServiceUnavailable(ACCESS_CHANGED_TOO_OFTEN)

    async def dry_run(self, command: WriteCommand) -> list[Any]:
        """Return the keys of the rows that a command would write, or raise what it would raise, and write nothing."""
        written: list[Any] = []

        async def end(work: UnitOfWork, keys: list[Any]) -> None:
            await self._check_access_current(work)
            written[:] = keys
            raise DryRunRollback

        with suppress(DryRunRollback):
            await self.write(command, end)
        return written

    async def _select_keys(self, command: WriteCommand) -> WriteCommand:
        """Return the command with the keys that its query selects, if it has one."""
        if not isinstance(command, Update | Delete) or not callable(command.keys):
            return command
        rows, version = await self.read_with_version(command.keys)
        check_count(len(rows), self._services.limits.max_batch_size)
        return replace(command, keys=SelectedKeys([next(iter(row.values())) for row in rows], version))

    async def _run_translated(
        self, command: WriteCommand, read_result: ResultReader[T] | None, budget: RequestBudget
    ) -> WriteResult[T]:
        try:
            try:
                return await self._run(command, read_result, budget, exclusive=requires_exclusive_lock(command))
            except NeedsExclusiveLock:
                return await self._run(command, read_result, budget, exclusive=True)
        except RowRejected as rejected:
            raise rejected.error from None
        except IntegrityError as error:
            raise violation_error(error) from None

    async def _run(
        self, command: WriteCommand, read_result: ResultReader[T] | None, budget: RequestBudget, *, exclusive: bool
    ) -> WriteResult[T]:
        database, attempts = self._services.database, 0
        has_email_index = await database.has_email_index()
        exclusive = exclusive or not has_email_index

        async def transaction(writer: WriteTransaction) -> WriteResult[T]:
            nonlocal attempts
            isolated = exclusive and not writer.postgresql  # on SQLite there is no other writer and no other snapshot
            attempts += 1
            access = await self._access(writer if exclusive else None, reload=attempts > 1)
            work = UnitOfWork(
                writer,
                self._caller,
                self._via(),
                access,
                self._services,
                self._rules,
                budget,
                isolated=isolated,
                has_email_index=has_email_index,
            )
            try:
                keys = await command.apply(work)
                if work.requires_exclusive_lock and not exclusive:
                    raise NeedsExclusiveLock
                await self._check_all(work)
                writer.after_commit = self._after_commit(work)
                result = await read_result(work, keys) if read_result else None
                work.raise_last_error()
            except RollcallError:
                await self._check_access_current(work)  # a new permission is never denied because of a cached access
                raise
            if result is None:
                await self._check_access_current(work)
            return WriteResult(keys, result)

        owner = (await self._services.access_cache.access(self._caller)).owner
        outcome = await database.run_write(transaction, exclusive=exclusive, owner=owner)
        if exclusive:
            self._services.access_changed.set()
        return outcome

    def _after_commit(self, work: UnitOfWork) -> Callable[[], Coroutine[Any, Any, None]] | None:
        """Return what is done once the unit of work is committed, if anything."""
        remove = partial(remove_files, self._services.storage, work.files.orphaned) if work.files.orphaned else None
        if work.events is None or not work.events.recorded:
            return remove
        dispatch = work.events.dispatch
        if remove is None:
            return dispatch

        async def dispatch_and_remove() -> None:
            await dispatch()
            await remove()

        return dispatch_and_remove

    async def _check_access_current(self, work: UnitOfWork) -> None:
        """Raise RetryTransaction if the access of the unit of work is stale."""
        if not (work.isolated or work.writer.failed):
            work.check_access_current(await self._services.access_cache.fetch_state(self._caller, work.writer))

    async def _check_all(self, work: UnitOfWork) -> None:
        """Check everything that was written, and raise if it is not allowed."""
        await work.check_written_rows()
        for check in self._rules.checks:
            await check(work)

    async def _access(self, writer: WriteTransaction | None, *, reload: bool) -> Access:
        """Return the caller's access; with a transaction, raise RetryTransaction if it is stale."""
        cache = self._services.access_cache
        access = await (cache.reload if reload and not self._caller.system else cache.access)(self._caller)
        if writer is not None and not await cache.is_current(self._caller, access, writer):
            raise RetryTransaction
        return access

    async def _prepare(self, command: WriteCommand, budget: RequestBudget) -> None:
        """Check permission for, and do, the slow work that the transaction should not wait for."""
        writes = find_slow_writes(command, self._rules)
        if not writes:
            return
        user = await self._with_current_access(lambda access: self._check_slow_writes(command, writes, access))
        own = OwnPayloads(user, [write.payload for write in writes if self._is_own(write, user)])
        for collection in {write.payload.collection for write in writes}:
            payloads = [write.payload for write in writes if write.payload.collection is collection]
            slow = [payload for payload in payloads if has_slow_field(payload, self._rules)]
            if slow:
                await self._rules.of(collection).prepare(slow, own, self._services, budget)
            for payload in payloads:
                await hash_values(payload.values, self._services, budget)

    def _is_own(self, write: SlowWrite, user: str | None) -> bool:
        return write.payload.collection.is_same(USERS) and user in write.keys and self._caller.api_token is None

    async def _check_slow_writes(
        self, command: WriteCommand, writes: Sequence[SlowWrite], access: Access
    ) -> str | None:
        """Return the user who writes; raise Forbidden if it will be denied, StalePlan if `access` is not current."""
        user = access.user or self._caller.user
        if access.admin:
            return user

        async def fetch_matches(scoped: ScopedRows, keys: Iterable[Any]) -> RuleMatches:
            rows = orjson.loads(await self._fetch(rule_matches(scoped, keys), access))
            return {key: tuple(map(bool, matches)) for key, *matches in rows}

        policy = WriteResolver(access, self._services.clock())
        try:
            policy.rules(command.action, self.collection)
            await check_slow_writes(policy, writes, fetch_matches)
        except Forbidden:
            if await self._services.access_cache.revalidate(self._caller, access) is access:
                raise
            raise StalePlan from None
        return user
