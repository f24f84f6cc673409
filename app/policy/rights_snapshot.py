"""The rights of all holders at one moment: roles, policies and permissions, and what they add up to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

import orjson
from sqlalchemy import Text, cast, select, true

from app.core.caller import Caller
from app.db.models import Role
from app.policy.access_cache import AccessCache, StatementReader
from app.policy.access_expiry import NO_ENDS
from app.policy.access_queries import AccessRows, permission_rows, policy_rows
from app.policy.holdings import Held, Holdings, Policies
from app.policy.rules import Access, AccessState
from app.query.collection import Registry
from app.query.size import SizeLimits
from app.query.sql_functions import JSONArray, JSONRows

_ROLES: Any = Role.__table__

ADMIN, APP, ENFORCE_TFA, IP_ACCESS = 2, 3, 4, 1
"""The positions of the flags in a row of `policy_rows`."""


class Holder(NamedTuple):
    """Users, a role or the public, as far as it decides what they hold: their role, and the policies of their own.

    Each policy has the end of its access row, None if it lasts.
    """

    role: str | None = None
    policies: frozenset[tuple[str, datetime | None]] = frozenset()


@dataclass(frozen=True, slots=True)
class RightsSnapshot:
    """What every holder holds at one moment.

    `policies` are the rows of policies by their ids, `permissions` those of permissions by the ids of their policies.
    """

    role_names: Mapping[str, str]
    trees: Mapping[str, tuple[str, ...]]
    """Each role with itself and its ancestors."""
    held: Held
    """The policies of each role."""
    public: Policies
    policies: Mapping[str, list[Any]]
    permissions: Mapping[str, list[list[Any]]]

    @classmethod
    async def load(cls, runner: StatementReader, limits: SizeLimits, registry: Registry, now: datetime) -> Self:
        """Read the rights of all holders."""
        holdings = Holdings(runner, limits, registry, now)
        trees = await holdings.role_trees()
        names = select(cast(JSONRows(JSONArray(_ROLES.c.id, _ROLES.c.name)), Text)).select_from(_ROLES)
        columns = (names.scalar_subquery(), policy_rows(lambda _: true()), permission_rows(lambda _: true()))
        role_names, policies, permissions = map(orjson.loads, await runner.fetch(select(*columns)))
        by_policy: dict[str, list[list[Any]]] = {}
        for row in permissions:
            by_policy.setdefault(row[0], []).append(row)
        return cls(
            dict(role_names),
            trees,
            await holdings.of_roles(trees.keys()),
            await holdings.of_public(),
            {row[0]: row for row in policies},
            {policy: sorted(rows, key=lambda row: row[-1]) for policy, rows in by_policy.items()},
        )

    def held_by(self, holder: Holder) -> Policies:
        """Return the policies of a holder: its own, and those of its role and of that role's ancestors or the public's.

        Policies that do not exist any longer are left out.
        """
        inherited = self.public if holder.role is None else self.held.get(holder.role, {})
        held = dict(inherited)
        for key, end in holder.policies:
            known = held.get(key, end)
            held[key] = None if known is None or end is None else max(known, end)
        return {key: end for key, end in held.items() if key in self.policies}

    def roles_of(self, holder: Holder) -> tuple[str, ...]:
        """Return the role of a holder and its ancestors."""
        return self.trees.get(holder.role, ()) if holder.role else ()

    def has(self, holder: Holder) -> bool:
        """Return whether the role of a holder exists; users and the public without a role always do."""
        return holder.role is None or holder.role in self.trees

    def access(self, cache: AccessCache, holder: Holder, user: str | None, ip: str | None) -> Access:
        """Return what a holder may do, at an address or, without one, at the addresses that its policies allow."""
        held = sorted(self.held_by(holder))
        policies = [self.policies[key] for key in held]
        if ip is None:
            policies = [[*row[:IP_ACCESS], None, *row[IP_ACCESS + 1 :]] for row in policies]
        state = AccessState("", user, "active" if user else None, holder.role)
        roles = [[role] for role in self.roles_of(holder)]
        permissions = [row for key in held for row in self.permissions.get(key, ())]
        return cache.assemble(Caller(user=user, ip=ip), AccessRows(state, roles, policies, permissions, "", NO_ENDS))

    def addresses(self, policies: Iterable[str]) -> tuple[str, ...] | None:
        """Return the IP rules under which policies grant anything; None if they do so at every address."""
        rules: set[str] = set()
        for key in policies:
            row = self.policies[key]
            if not (row[ADMIN] or row[APP] or self.permissions.get(key)):
                continue
            if not row[IP_ACCESS]:
                return None
            rules.update(row[IP_ACCESS].split(","))
        return tuple(sorted(rules)) or None

    def changed_policies(self, after: "RightsSnapshot") -> frozenset[str]:
        """Return the policies that another snapshot describes otherwise, or that only one of them has."""
        keys = self.policies.keys() | after.policies.keys()
        return frozenset(key for key in keys if self.definition(key) != after.definition(key))

    def definition(self, key: str) -> tuple[Any, Any]:
        """Return the row of a policy and those of its permissions; None for those that do not exist."""
        return self.policies.get(key), self.permissions.get(key)
