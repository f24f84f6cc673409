"""Who holds which policies, and what these grant: as stored before a write, or within its transaction."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, FromClause, Select, and_, literal, or_, select, true, union
from sqlalchemy.sql.selectable import CTE

from app.db.models import ACCESS_EXPIRY, Access, Role, User
from app.policy.access_cache import StatementReader
from app.policy.access_expiry import WITH_EXPIRY, is_valid, json_rows, parse_end, valid_access
from app.policy.access_queries import parse_policies, permission_rows, policy_rows
from app.policy.grantor_rights import GrantedPolicy
from app.query.collection import Registry
from app.query.size import SizeLimits
from app.query.sql_writes import in_list

_USERS, _ROLES, _ACCESS = User.__table__, Role.__table__, Access.__table__
_POLICY_WITH_END = (_ACCESS.c.policy, ACCESS_EXPIRY.c.expires)
_IS_PUBLIC = and_(_ACCESS.c.role.is_(None), _ACCESS.c.user.is_(None))

PUBLIC = ""
"""The key of the public among holders."""
Policies = Mapping[str, datetime | None]
"""The policies that one user, role or the public holds, each with its end; None if it lasts."""
Held = Mapping[str, Policies]
"""The policies that each user or role holds; those who hold none are missing."""


class Holdings:
    """The policies that users, roles and the public hold, read by one runner of statements.

    A user holds the policies attached to itself, to its role and to that role's ancestors, or, without a role, to the
    public. A role holds those attached to itself and its ancestors. What has expired `now` is held by none.
    """

    def __init__(self, runner: StatementReader, limits: SizeLimits, registry: Registry, now: datetime) -> None:
        self._runner, self._limits, self._registry, self._now = runner, limits, registry, now

    async def of_users(self, users: Collection[str]) -> Held:
        """Return the policies of users, whatever their status."""
        if not users:
            return {}
        selected = in_list(_USERS.c.id, users)
        tree = _with_ancestors(select(_USERS.c.id.label("holder"), _USERS.c.role.label("role")).where(selected))
        public = self._valid(_USERS.c.id, _USERS, true())
        return await self._held(
            self._policies_of(tree),
            valid_access(_ACCESS.c.user, *_POLICY_WITH_END, now=self._now).where(in_list(_ACCESS.c.user, users)),
            public.where(selected, _USERS.c.role.is_(None), _IS_PUBLIC),
        )

    async def of_roles(self, roles: Collection[str]) -> Held:
        """Return the policies of roles."""
        if not roles:
            return {}
        own = select(_ROLES.c.id.label("holder"), _ROLES.c.id.label("role")).where(in_list(_ROLES.c.id, roles))
        return await self._held(self._policies_of(_with_ancestors(own)))

    async def role_trees(self) -> dict[str, tuple[str, ...]]:
        """Return every role, with itself and its ancestors."""
        tree = _with_ancestors(select(_ROLES.c.id.label("holder"), _ROLES.c.id.label("role")))
        trees: dict[str, list[str]] = {}
        for holder, role in await self._rows(select(tree.c.holder, tree.c.role)):
            trees.setdefault(holder, []).append(role)
        return {holder: tuple(sorted(roles)) for holder, roles in trees.items()}

    async def of_public(self) -> Policies:
        """Return the policies that everybody without a role holds."""
        rows = valid_access(literal(PUBLIC), *_POLICY_WITH_END, now=self._now).where(_IS_PUBLIC)
        return (await self._held(rows)).get(PUBLIC, {})

    async def holders(self, policies: Collection[str]) -> tuple[set[str], set[str]]:
        """Return the users and the roles that hold one of the policies."""
        attached = in_list(_ACCESS.c.policy, policies)
        users, roles = await self.members(select(_ACCESS.c.role).where(attached, _ACCESS.c.role.is_not(None)))
        direct = select(_ACCESS.c.user).where(attached, _ACCESS.c.user.is_not(None))
        is_held_publicly = select(_ACCESS.c.id).where(attached, _IS_PUBLIC).exists()
        others = select(_USERS.c.id).where(
            or_(_USERS.c.id.in_(direct), and_(_USERS.c.role.is_(None), is_held_publicly))
        )
        return users | {row[0] for row in await self._rows(others)}, roles

    async def users_without_role(self) -> set[str]:
        """Return the users who hold the policies of the public."""
        return {row[0] for row in await self._rows(select(_USERS.c.id).where(_USERS.c.role.is_(None)))}

    async def members(self, roles: Select[Any]) -> tuple[set[str], set[str]]:
        """Return the users of roles and of their descendants, and all these roles; `roles` selects role ids."""
        tree = select(_ROLES.c.id).where(_ROLES.c.id.in_(roles)).cte("tree", recursive=True)
        child = _ROLES.alias()
        tree = tree.union(select(child.c.id).join(tree, child.c.parent == tree.c.id))
        users = select(_USERS.c.id).where(_USERS.c.role.in_(select(tree.c.id)))
        return (
            {row[0] for row in await self._rows(users)},
            {row[0] for row in await self._rows(select(tree.c.id))},
        )

    async def policies(self, keys: Collection[str]) -> dict[str, GrantedPolicy]:
        """Return policies by their keys; those that don't exist are missing."""
        if not keys:
            return {}
        row = await self._runner.fetch(
            select(policy_rows(lambda key: in_list(key, keys)), permission_rows(lambda key: in_list(key, keys)))
        )
        policies, permissions = map(orjson.loads, row)
        return {policy.key: policy for policy in parse_policies(policies, permissions, self._limits, self._registry)}

    async def _held(self, *selects: Select[Any]) -> Held:
        held: dict[str, dict[str, datetime | None]] = {}
        for holder, policy, text in await self._rows(union(*selects)):
            policies, end = held.setdefault(holder, {}), parse_end(text) if text else None
            known = policies.get(policy, end)
            policies[policy] = None if known is None or end is None else max(known, end)
        return held

    def _valid(self, holder: ColumnElement[Any], holders: FromClause, on: ColumnElement[bool]) -> Select[Any]:
        """Return the holder, the policy and the end of each access row that `on` joins to a holder."""
        source = holders.join(WITH_EXPIRY, on)
        return select(holder, *_POLICY_WITH_END).select_from(source).where(is_valid(self._now))

    def _policies_of(self, tree: CTE) -> Select[Any]:
        return self._valid(tree.c.holder, tree, _ACCESS.c.role == tree.c.role)

    async def _rows(self, rows: Any) -> list[list[Any]]:
        text = (await self._runner.fetch(select(json_rows(rows))))[0]
        result: list[list[Any]] = orjson.loads(text)
        return result


def _with_ancestors(roles: Select[Any]) -> CTE:
    """Return each holder with each role it inherits from; `roles` selects the holders with their own roles."""
    tree = roles.cte("tree", recursive=True)
    parent = _ROLES.alias()
    inherited = select(tree.c.holder, parent.c.parent).join(tree, tree.c.role == parent.c.id)
    return tree.union(inherited.where(parent.c.parent.is_not(None)))
