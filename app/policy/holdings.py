"""Who holds which policies, and what these grant: as stored before a write, or within its transaction."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import ColumnElement, FromClause, Select, Text, and_, cast, or_, select, true, union
from sqlalchemy.sql.selectable import CTE

from app.db.models import Access, Role, User
from app.policy.access_cache import StatementReader
from app.policy.access_queries import parse_policies, permission_rows, policy_rows
from app.policy.grantor_rights import GrantedPolicy
from app.query.collection import Registry
from app.query.size import SizeLimits
from app.query.sql_functions import JSONArray, JSONRows
from app.query.sql_writes import in_list

_USERS, _ROLES, _ACCESS = User.__table__, Role.__table__, Access.__table__
_IS_PUBLIC = and_(_ACCESS.c.role.is_(None), _ACCESS.c.user.is_(None))

Held = Mapping[str, frozenset[str]]
"""The policies that each user or role holds; those who hold none are missing."""


class Holdings:
    """The policies that users, roles and the public hold, read by one runner of statements.

    A user holds the policies attached to itself, to its role and to that role's ancestors, or, without a role, to the
    public. A role holds those attached to itself and its ancestors.
    """

    def __init__(self, runner: StatementReader, limits: SizeLimits, registry: Registry) -> None:
        self._runner, self._limits, self._registry = runner, limits, registry

    async def of_users(self, users: Collection[str]) -> Held:
        """Return the policies of users, whatever their status."""
        if not users:
            return {}
        selected = in_list(_USERS.c.id, users)
        tree = _with_ancestors(select(_USERS.c.id.label("holder"), _USERS.c.role.label("role")).where(selected))
        public = select(_USERS.c.id, _ACCESS.c.policy).join_from(_USERS, _ACCESS, true())
        return await self._held(
            _policies_of(tree),
            select(_ACCESS.c.user, _ACCESS.c.policy).where(in_list(_ACCESS.c.user, users)),
            public.where(selected, _USERS.c.role.is_(None), _IS_PUBLIC),
        )

    async def of_roles(self, roles: Collection[str]) -> Held:
        """Return the policies of roles."""
        if not roles:
            return {}
        own = select(_ROLES.c.id.label("holder"), _ROLES.c.id.label("role")).where(in_list(_ROLES.c.id, roles))
        return await self._held(_policies_of(_with_ancestors(own)))

    async def of_public(self) -> frozenset[str]:
        """Return the policies that everybody without a role holds."""
        return frozenset(row[0] for row in await self._rows(select(_ACCESS.c.policy).where(_IS_PUBLIC).distinct()))

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
        held: dict[str, set[str]] = {}
        for holder, policy in await self._rows(union(*selects)):
            held.setdefault(holder, set()).add(policy)
        return {holder: frozenset(policies) for holder, policies in held.items()}

    async def _rows(self, rows: Any) -> list[list[Any]]:
        found: FromClause = rows.subquery()
        cells: Iterable[ColumnElement[Any]] = found.c
        text = (await self._runner.fetch(select(cast(JSONRows(JSONArray(*cells)), Text)).select_from(found)))[0]
        result: list[list[Any]] = orjson.loads(text)
        return result


def _with_ancestors(roles: Select[Any]) -> CTE:
    """Return each holder with each role it inherits from; `roles` selects the holders with their own roles."""
    tree = roles.cte("tree", recursive=True)
    parent = _ROLES.alias()
    inherited = select(tree.c.holder, parent.c.parent).join(tree, tree.c.role == parent.c.id)
    return tree.union(inherited.where(parent.c.parent.is_not(None)))


def _policies_of(tree: CTE) -> Select[Any]:
    return select(tree.c.holder, _ACCESS.c.policy).join(_ACCESS, _ACCESS.c.role == tree.c.role)
