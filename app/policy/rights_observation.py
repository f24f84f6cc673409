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
from app.policy.user_groups import (
    CREATE_USERS_BEFORE,
    UserGroup,
    fill_users_before,
    read_user_groups,
    select_user_groups,
)
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
    """The rights of all holders, and the number of active admins; after writes also the groups of users."""

    rights: RightsSnapshot
    admins: int
    groups: tuple[UserGroup, ...] = ()


class RightsObserver:
    """Reads the rights of all holders twice in one transaction; groups list at most `max_users` users each."""

    def __init__(self, limits: SizeLimits, registry: Registry, now: datetime, max_users: int) -> None:
        self._limits, self._registry, self._now, self._max_users = limits, registry, now, max_users

    async def before(self, transaction: TransactionReader) -> Observation:
        """Read the rights, and store in a temporary table what decides those of each user."""
        await transaction.execute(CREATE_USERS_BEFORE)
        await transaction.execute(fill_users_before(self._now))
        return await self._observe(transaction)

    async def after(self, transaction: TransactionReader) -> Observation:
        """Read the rights again, and group the users by what decides their rights now and did so before."""
        rows = await transaction.execute(select_user_groups(self._max_users, self._now))
        return await self._observe(transaction, tuple(read_user_groups(rows)))

    async def _observe(self, transaction: TransactionReader, groups: tuple[UserGroup, ...] = ()) -> Observation:
        rights = await RightsSnapshot.load(transaction, self._limits, self._registry, self._now)
        return Observation(rights, (await transaction.fetch(COUNT_ADMINS))[0], groups)
