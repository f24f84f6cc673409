"""Runs write commands in a transaction that is always rolled back, so that their effects can be read in it.

On PostgreSQL the transaction has a snapshot of its own (REPEATABLE READ) and does not take the directory's lock: it
keeps nothing, so it need not exclude other writers, and only writes of the same rows wait for it. On SQLite every write
excludes the others, and so does a simulation while it runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.core.caller import Caller, ClientInfoFactory
from app.core.errors import ChangeRejected, Forbidden, RollcallError, ServiceUnavailable, UnprocessableContent
from app.db.database import RetryTransaction
from app.db.transaction import WriteTransaction
from app.policy.rules import Access
from app.repositories.engine.commands import WriteCommand
from app.repositories.engine.constraints import RowRejected, violation_error
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.expectations.evaluation import PolicyTestRunner
from app.repositories.rules.last_admin import check_last_admin
from app.repositories.rules.registry import DIRECTORY_RULES
from app.repositories.rules.user_changes import record_user_changes
from app.repositories.services import Services

T = TypeVar("T")
S = TypeVar("S")
MAX_ADMIN_CHECKS = 20
"""How many changes that may concern admins are checked one by one."""
MAX_FAILED_TESTS = 10
"""How many failures of tests of policies are reported."""
OWN_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
CHECKS = tuple(one for one in DIRECTORY_RULES.checks if one not in (check_last_admin, record_user_changes))
"""The checks at the end of a write. The removal of the last admin is reported, and no change of users is recorded."""


@dataclass(frozen=True, slots=True)
class SimulatedCommand:
    """A command, and what it does in the words of an error message."""

    command: WriteCommand
    subject: str


@dataclass(frozen=True, slots=True)
class RefusedRemoval:
    """The first change that a real write would refuse because it removes or locks out the last admin, and why."""

    change: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refusals:
    """Why real writes would be refused, although the simulation goes on: the last admin, or tests of policies."""

    last_admin: RefusedRemoval | None = None
    failed_tests: tuple[str, ...] = ()


class _RolledBack(Exception):
    """Ends the transaction with its result."""

    def __init__(self, result: Any) -> None:
        self.result = result


class SimulatedWrites:
    """Runs commands one after the other, each checked like a write of its own, and then rolls all of them back.

    The hooks of extensions do not run: they may do something that cannot be rolled back.
    """

    def __init__(self, caller: Caller, services: Services, client_info: ClientInfoFactory) -> None:
        self._caller, self._client_info = caller, client_info
        self._services = replace(services, hooks=None, policy_tests=())
        self._policy_tests = services.policy_tests
        """The tests that must pass after all changes, not after each."""

    async def run(
        self,
        commands: Sequence[SimulatedCommand],
        before: Callable[[WriteTransaction], Awaitable[S]],
        after: Callable[[WriteTransaction, S, Refusals], Awaitable[T]],
        timeout_seconds: float,
    ) -> T:
        """Return what `after` reads in the transaction, once the commands have run, with what `before` read.

        Raises:
            ChangeRejected: A command fails as a write would, unless because of the last admin or of tests of policies.
            Forbidden: The caller is no admin.
            ServiceUnavailable: It takes longer than `timeout_seconds`, or the database is busy.
        """
        attempts = 0
        has_email_index = await self._services.database.has_email_index()

        async def transaction(writer: WriteTransaction) -> None:
            nonlocal attempts
            attempts += 1
            try:
                async with asyncio.timeout(timeout_seconds):
                    if writer.postgresql:
                        await writer.execute(OWN_SNAPSHOT)
                    access = await self._current_access(writer, reload=attempts > 1)
                    observed = await before(writer)
                    refused = await self._apply_all(commands, writer, access, has_email_index=has_email_index)
                    raise _RolledBack(await after(writer, observed, refused))
            except TimeoutError:
                raise ServiceUnavailable(
                    f"The simulation took longer than the {timeout_seconds:g} s allowed; simulate fewer changes at once"
                ) from None

        owner = (await self._services.access_cache.access(self._caller)).owner
        try:
            await self._services.database.run_write(transaction, exclusive=False, owner=owner)
        except _RolledBack as rolled_back:
            result: T = rolled_back.result
            return result
        raise AssertionError("A simulation ended without a result")

    async def _current_access(self, writer: WriteTransaction, *, reload: bool) -> Access:
        cache = self._services.access_cache
        access = await (cache.reload if reload and not self._caller.system else cache.access)(self._caller)
        if not await cache.is_current(self._caller, access, writer):
            raise RetryTransaction
        if not access.admin:  # no longer: what a simulation reads is for admins
            raise Forbidden
        return access

    async def _apply_all(
        self, commands: Sequence[SimulatedCommand], writer: WriteTransaction, access: Access, *, has_email_index: bool
    ) -> Refusals:
        admins, changes_definitions = _LastAdminCheck(len(commands) - 1), False
        for index, one in enumerate(commands):
            work = UnitOfWork(
                writer,
                self._caller,
                self._client_info(),
                access,
                self._services,
                DIRECTORY_RULES,
                self._services.new_budget(),
                isolated=True,
                has_email_index=has_email_index,
            )
            try:
                await self._apply(one.command, work)
            except RollcallError as error:
                raise ChangeRejected(index, one.subject, error) from error
            changes_definitions = changes_definitions or work.affected.definitions
            await admins.check(index, work)
        tests = self._policy_tests if changes_definitions else ()
        failures = await PolicyTestRunner(writer, self._services).failures(tests) if tests else ()
        return Refusals(
            admins.refused, tuple(failure.reason.removesuffix(".") for failure in failures[:MAX_FAILED_TESTS])
        )

    async def _apply(self, command: WriteCommand, work: UnitOfWork) -> None:
        """Run a command and its checks, except for that of the last admin."""
        try:
            await command.apply(work)
            await work.check_written_rows()
            for check in CHECKS:
                await check(work)
        except RowRejected as rejected:
            raise rejected.error from None
        except IntegrityError as error:
            raise violation_error(error) from None


class _LastAdminCheck:
    """Checks for the last admin after each change; after many, only once more, as PostgreSQL reads all users each time.

    `refused` is the first change that fails.
    """

    def __init__(self, last: int) -> None:
        self._last, self._checks, self._is_pending = last, 0, False
        self.refused: RefusedRemoval | None = None

    async def check(self, index: int, work: UnitOfWork) -> None:
        """Check what a change has written, and the changes before that were not checked."""
        self._is_pending = work.affected.admins = work.affected.admins or self._is_pending
        if not self._is_pending or self.refused or (self._checks >= MAX_ADMIN_CHECKS and index < self._last):
            return
        self._checks, self._is_pending = self._checks + 1, False
        try:
            await check_last_admin(work)
        except UnprocessableContent as error:
            self.refused = RefusedRemoval(index, error.reason or "")
