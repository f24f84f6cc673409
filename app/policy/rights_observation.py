"""Reads the rights of all holders in a transaction, before its writes and after them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import ClauseElement, func, select

from app.core.bindings import Bindings
from app.db.connection import Row
from app.policy.access_cache import StatementReader
from app.policy.rights_snapshot import RightsSnapshot
from app.policy.role_tree import select_active_admins
from app.policy.row_counter import Fetch
from app.policy.user_groups import UserGroup, UserGroups, all_groups, read_active, read_changed
from app.query.collection import Registry
from app.query.size import SizeLimits

COUNT_ADMINS = select(func.count()).select_from(select_active_admins().order_by(None).subquery())


class TransactionReader(StatementReader, Protocol):
    """Runs the statements of a transaction."""

    async def execute(self, clause: ClauseElement, bindings: Bindings = ...) -> Sequence[Row]:
        """Return all rows of a statement."""
        ...


@dataclass(frozen=True, slots=True)
class Observation:
    """The rights of all holders, and the number of active admins."""

    rights: RightsSnapshot
    admins: int


class RightsObserver:
    """Reads the rights of all holders twice in one transaction, and whose rights other rows decide after its writes."""

    def __init__(self, dialect: str, limits: SizeLimits, registry: Registry, now: datetime) -> None:
        self._limits, self._registry, self._now = limits, registry, now
        self._statements = UserGroups(dialect, now)
        self._active: tuple[UserGroup, ...] = ()

    async def prepare(self, fetch: Fetch) -> None:
        """Group the active users, which takes longest, before the transaction begins."""
        self._active = tuple(read_active((await fetch(self._statements.active()))[0]))

    async def before(self, transaction: TransactionReader) -> Observation:
        """Read the rights, and store in a temporary table what decides those of each user."""
        await transaction.execute(self._statements.create_table())
        await transaction.execute(self._statements.fill_table())
        return await self._observe(transaction)

    async def after(self, transaction: TransactionReader) -> tuple[Observation, tuple[UserGroup, ...]]:
        """Read the rights again, and group the users by what decides their rights now and did so before."""
        changed = tuple(read_changed(await transaction.execute(self._statements.changed())))
        return await self._observe(transaction), tuple(all_groups(self._active, changed))

    async def _observe(self, transaction: TransactionReader) -> Observation:
        rights = await RightsSnapshot.load(transaction, self._limits, self._registry, self._now)
        return Observation(rights, (await transaction.fetch(COUNT_ADMINS))[0])
