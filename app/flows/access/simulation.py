"""Simulates changes of rights: runs them in a transaction that is rolled back, and compares what everyone may do."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import monotonic

from app.core.errors import Forbidden, InvalidPayload
from app.core.ip_addresses import is_ip_rule
from app.db.transaction import WriteTransaction
from app.flows.access.simulated_changes import Change, check_number, commands_of, written_collections
from app.flows.access.simulation_report import LastAdmin, SimulationReport
from app.flows.access.simulation_result import effect_of, is_locked_out
from app.policy.access_cache import AccessCache
from app.policy.access_difference import ActionDifference, action_difference
from app.policy.access_effects import AccessEffect, EffectFinder
from app.policy.rights_observation import Observation, RightsObserver
from app.policy.row_counter import RowCounter
from app.policy.unreadable_rules import SilentRuleLog
from app.repositories.commands.simulated_writes import Refusals, SimulatedWrites
from app.repositories.directory import Directory

TRANSACTION_SECONDS = 8.0
"""How long the transaction may take. On SQLite other writes wait for it, and give up after 10 seconds."""
COMPARING_SECONDS, COUNTING_SECONDS = 1.0, 3.0
"""How long rows are compared in the transaction and counted after it; what is left then is reported without numbers."""
TURN_SECONDS = 0.01
"""How long a simulation computes until other requests have their turn."""
MAX_EFFECTS = 100
"""Maximum number of effects in a report."""
MAX_HOLDERS = 10
"""Maximum number of users, and of roles, that an effect lists."""


@dataclass(slots=True)
class _Outcome:
    """What the transaction of a simulation has found."""

    before: Observation
    after: Observation
    finder: EffectFinder
    effects: list[AccessEffect]
    refusals: Refusals


class AccessSimulation:
    """Answers what changes of roles, policies, access rows, permissions and users would do to everyone's access."""

    def __init__(self, directory: Directory, transaction_seconds: float = TRANSACTION_SECONDS) -> None:
        self._directory, self._services = directory, directory.services
        self._transaction_seconds = transaction_seconds

    async def run(self, changes: Sequence[Change], ip: str | None = None) -> SimulationReport:
        """Return who would gain and lose what if these changes were written, one after the other; write nothing.

        Access is that at the address `ip`; without it, that at an address which all policies allow.

        Raises:
            Forbidden: The caller is no admin.
            InvalidPayload: There are no changes, or too many, or `ip` is no address.
            ChangeRejected: A change would fail; the others are not simulated either. Only the removal of the last admin
                and failing tests of policies are reported, not raised.
            ServiceUnavailable: The changes take too long, or the database is busy.
        """
        access = await self._directory.fresh_access()
        if not access.admin:
            raise Forbidden
        check_number(len(changes))
        if ip is not None and (not is_ip_rule(ip) or "/" in ip or "-" in ip):
            raise InvalidPayload('"ip" must be an IP address')
        run = _Run(self._directory, access.owner, ip, changes)
        async with self._services.simulations:
            outcome = await run.in_transaction(self._transaction_seconds)
        await run.count_stored(outcome)
        return run.report(outcome)


class _Run:
    """One simulation; its statements count as those of the `owner`."""

    def __init__(self, directory: Directory, owner: str | None, ip: str | None, changes: Sequence[Change]) -> None:
        self._directory, self._ip, self._changes = directory, ip, changes
        self._services = services = directory.services
        self._commands = commands_of(changes, directory)
        self._now: datetime = services.clock()
        self._observer = RightsObserver(services.dialect, services.limits.size, services.registry, self._now)
        self._fetch = partial(services.reader.fetch, owner=owner)
        self._counter = RowCounter(self._fetch, written_collections(self._commands))

    async def in_transaction(self, seconds: float) -> _Outcome:
        """Run the changes, and find their effects; then roll them back."""
        await self._observer.prepare(self._fetch)
        writes = SimulatedWrites(self._directory.caller, self._services, self._directory.client_info)
        return await writes.run(self._commands, self._observer.before, self._observe, seconds)

    async def _observe(self, transaction: WriteTransaction, before: Observation, refusals: Refusals) -> _Outcome:
        after, groups = await self._observer.after(transaction)
        services = self._services
        cache = AccessCache(
            services.reader,
            services.last_access,
            SilentRuleLog(),
            services.limits.size,
            services.clock,
            services.registry,
        )
        finder = EffectFinder(cache, before.rights, after.rights, self._now, self._ip)
        await _in_turns(finder.add_roles())
        await _in_turns(finder.add_users(groups, MAX_HOLDERS))
        outcome = _Outcome(before, after, finder, finder.effects(MAX_EFFECTS, MAX_HOLDERS), refusals)
        await self._count(outcome, transaction)
        return outcome

    async def count_stored(self, outcome: _Outcome) -> None:
        """Count the rows which the changes do not write, without holding a transaction."""
        await self._count(outcome, None)

    async def _count(self, outcome: _Outcome, transaction: WriteTransaction | None) -> None:
        end = monotonic() + (COUNTING_SECONDS if transaction is None else COMPARING_SECONDS)
        for difference in self._differences(outcome):
            if self._counter.depends_on_writes(difference) is (transaction is None):
                continue
            for comparison in difference.comparisons:
                if monotonic() > end:
                    return
                if transaction is None:
                    await self._counter.count(difference.collection, comparison)
                else:
                    await self._counter.compare(difference.collection, comparison, transaction.fetch)

    def _differences(self, outcome: _Outcome) -> Iterator[ActionDifference]:
        for effect in outcome.effects[:MAX_EFFECTS]:
            yield from self._evaluated(outcome, effect)

    def _evaluated(self, outcome: _Outcome, effect: AccessEffect) -> Iterator[ActionDifference]:
        """Yield the differences of an effect; those that depend on the user as they are for its sample."""
        accesses = outcome.finder.accesses(effect)
        for one in effect.difference.actions:
            own = action_difference(*accesses, one.collection, one.action, self._now) if one.depends_on_user else one
            yield own if own is not None else one.without_comparisons()

    def report(self, outcome: _Outcome) -> SimulationReport:
        """Return the report of what was found."""
        names = {**outcome.before.rights.role_names, **outcome.after.rights.role_names}
        effects = outcome.effects
        listed = (
            effect_of(effect, list(self._evaluated(outcome, effect)), self._counter, names, MAX_HOLDERS)
            for effect in effects[:MAX_EFFECTS]
        )
        refused = outcome.refusals.last_admin
        return SimulationReport(
            changes=len(self._changes),
            ip=self._ip,
            effects=tuple(listed),
            effects_total=len(effects),
            roles_total=sum(len(effect.roles) for effect in effects),
            users_total=sum(effect.user_count for effect in effects),
            locked_out_total=sum(effect.user_count for effect in effects if is_locked_out(effect)),
            admins_before=outcome.before.admins,
            admins_after=outcome.after.admins,
            last_admin=LastAdmin(refused.change, refused.reason) if refused else None,
            failed_tests=outcome.refusals.failed_tests,
        )


async def _in_turns(steps: Iterator[None]) -> None:
    """Take steps, and let other requests run in between."""
    end = monotonic() + TURN_SECONDS
    for _ in steps:
        if monotonic() > end:
            await asyncio.sleep(0)
            end = monotonic() + TURN_SECONDS
