"""The SQL that finds who may do something: all users, the roles and the public, in one statement.

The rules are those of the policy resolver; where they refer to the caller, they refer here to a row of `candidate`, the
active users. A rule that decides about an item is therefore evaluated for each user who holds its policy.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    union,
)
from sqlalchemy.sql.selectable import FromClause

from app.db.models import Access, Role, User
from app.policy.access_expiry import valid_access
from app.policy.scopes import UnrestrictedScope
from app.query import collection as registry
from app.query.filter import MATCH_ALL, Filter
from app.query.row_parameters import Columns, with_row_values
from app.query.sql_expressions import condition_sql
from app.query.sql_functions import JSONArray, JSONRows, ListOfRows, by_code_point
from app.query.sql_writes import in_list

_USERS, _ROLES, _ACCESS = User.__table__, Role.__table__, Access.__table__
CANDIDATE = "candidate"
COLUMNS: Columns = {
    source: f"{CANDIDATE}.{column}"
    for source, column in (("me", "id"), ("role", "role"), ("roles", "roles"), ("policies", "policies"))
}
USER_FIELDS = ("id", "email", "first_name", "last_name", "role")
MAX_ROLES = 1000
"""Maximum number of roles in an answer."""

Holds = Callable[[Collection[str]], ColumnElement[bool]]
"""Returns the condition that a holder has one of some policies."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Policies that grant the action in question if `filter` matches the item; `self_only` on the user's own row."""

    policies: frozenset[str]
    filter: Filter = MATCH_ALL
    self_only: bool = False


@dataclass(frozen=True, slots=True)
class Scopes:
    """How rules see users with a role, users without one, and anonymous callers."""

    with_role: UnrestrictedScope
    without_role: UnrestrictedScope
    anonymous: UnrestrictedScope


@dataclass(frozen=True, slots=True)
class HolderQuery:
    """A question of who may do something with a collection, and with the item that has a key, if there is one.

    `everywhere` are the policies that are in force at every address, or, if the question names one, at that address.
    """

    collection: registry.Collection
    key: Any
    grants: Sequence[Grant]
    everywhere: frozenset[str]
    in_force: frozenset[str]
    scopes: Scopes
    now: datetime

    def select(self, limit: int, offset: int) -> Select[Any]:
        """Return a SELECT of one row: the number of users, a page of them, the roles, and whether the public may.

        The users are JSON rows of `USER_FIELDS` and whether it is so everywhere; the roles of id, name, and whether
        every user of the role may.
        """
        closure, attached = _role_closure(), self._attached()
        matches = [_Match(self, grant) for grant in self.grants]
        holds_user, holds_role = _held_by_user(closure, attached), _held_by_role(closure, attached)
        candidates = self._candidates(closure, attached, frozenset[str]().union(*(match.used for match in matches)))
        may = or_(literal(False), *(match.of_user(holds_user) for match in matches))
        may_everywhere = or_(literal(False), *(match.of_user(holds_user, self.everywhere) for match in matches))
        users = select(*(candidates.c[name] for name in USER_FIELDS), may_everywhere.label("everywhere"))
        users = users.select_from(candidates).where(may)
        allowed = users.cte("allowed")
        page = select(allowed).order_by(by_code_point(allowed.c.email).asc().nulls_last(), allowed.c.id)
        return select(
            select(func.count()).select_from(allowed).scalar_subquery(),
            _json(page.limit(limit).offset(literal(offset, BigInteger()))),
            _json(self._roles(matches, holds_role, allowed)),
            or_(literal(False), *(match.of_public(attached) for match in matches)),
        )

    def _attached(self) -> CTE:
        columns = (_ACCESS.c.policy, _ACCESS.c.role, _ACCESS.c.user)
        is_in_force = in_list(_ACCESS.c.policy, sorted(self.in_force))
        return valid_access(*columns, now=self.now).where(is_in_force).cte("attached")

    def _candidates(self, closure: CTE, attached: CTE, used: frozenset[str]) -> CTE:
        """Return the active users, with the lists of their roles and policies if the rules use them."""
        columns, source = [_USERS.c[name] for name in USER_FIELDS], _USERS
        extra: list[ColumnElement[Any]] = []
        if "roles" in used:
            lists = select(closure.c.role, ListOfRows(closure.c.ancestor).label("roles")).group_by(closure.c.role)
            found = lists.subquery("role_lists")
            source, extra = source.outerjoin(found, found.c.role == _USERS.c.role), [*extra, found.c.roles]
        if "policies" in used:
            found = _policy_lists(closure, attached).subquery("policy_lists")
            source, extra = source.outerjoin(found, found.c.user == _USERS.c.id), [*extra, found.c.policies]
        return select(*columns, *extra).select_from(source).where(_USERS.c.status == "active").cte(CANDIDATE)

    def _roles(self, matches: Sequence["_Match"], holds: Holds, allowed: CTE) -> Select[Any]:
        may = or_(literal(False), *(match.of_role(holds, allowed) for match in matches))
        always = or_(literal(False), *(match.of_every_user(holds, self.everywhere) for match in matches))
        roles = select(_ROLES.c.id, _ROLES.c.name, always.label("every_user")).where(may)
        return roles.order_by(by_code_point(_ROLES.c.name), _ROLES.c.id).limit(MAX_ROLES)


class _Match:
    """The condition that a grant's rule matches the item, for users with and without a role, and for the public."""

    def __init__(self, query: HolderQuery, grant: Grant) -> None:
        self._query, self._grant = query, grant
        scopes = query.scopes
        kinds = (scopes.with_role, scopes.without_role)
        (with_role, used), (without_role, more) = (with_row_values(self._item(scope), COLUMNS) for scope in kinds)
        self.used = used | more
        role = _column("role")
        first, second = (scope.condition(query.collection, grant.filter) for scope in kinds)
        is_same = query.key is None or first == second
        either = or_(and_(role.is_not(None), with_role), and_(role.is_(None), without_role))
        self._users = with_role if is_same else either
        self._depends_on_user = bool(self.used) or not is_same or grant.self_only

    def of_user(self, holds: Holds, within: frozenset[str] | None = None) -> ColumnElement[bool]:
        conditions = [holds(self._policies(within)), self._users]
        if self._grant.self_only:
            conditions.append(_column("id") == literal(self._query.key, _USERS.c.id.type))
        return and_(*conditions)

    def of_role(self, holds: Holds, allowed: CTE) -> ColumnElement[bool]:
        has_allowed_user = _ROLES.c.id.in_(select(allowed.c.role))
        return and_(holds(self._policies(None)), has_allowed_user if self._depends_on_user else self._users)

    def of_every_user(self, holds: Holds, within: frozenset[str]) -> ColumnElement[bool]:
        return literal(False) if self._depends_on_user else and_(holds(self._policies(within)), self._users)

    def of_public(self, attached: CTE) -> ColumnElement[bool]:
        if self._grant.self_only:
            return literal(False)
        held = _is_public(attached, self._policies(self._query.everywhere))
        return and_(held, self._item(self._query.scopes.anonymous))

    def _policies(self, within: frozenset[str] | None) -> list[str]:
        return sorted(self._grant.policies if within is None else self._grant.policies & within)

    def _item(self, scope: UnrestrictedScope) -> ColumnElement[bool]:
        """Return the condition that the item exists and matches the rule of the grant."""
        query = self._query
        if query.key is None:
            return literal(True)
        row = query.collection.table.alias()
        has_key = row.c[query.collection.key.name] == literal(query.key, query.collection.key.stored.type)
        matches = condition_sql(scope.condition(query.collection, self._grant.filter), row)
        return exists(select(1).select_from(row).where(has_key, matches))


def _column(name: str) -> ColumnElement[Any]:
    """Return a column of `candidate` that names no table, as those of `COLUMNS`."""
    return literal_column(f"{CANDIDATE}.{name}", _USERS.c[name].type)


def _role_closure() -> CTE:
    """Return each role with itself and each of its ancestors."""
    closure = select(_ROLES.c.id.label("role"), _ROLES.c.id.label("ancestor")).cte("closure", recursive=True)
    parent = _ROLES.alias()
    above = select(closure.c.role, parent.c.parent).join(closure, closure.c.ancestor == parent.c.id)
    return closure.union(above.where(parent.c.parent.is_not(None)))


def _held_by_user(closure: CTE, attached: CTE) -> Holds:
    held_by_role = _held_by_role(closure, attached, "role")

    def holds(policies: Collection[str]) -> ColumnElement[bool]:
        direct = select(attached.c.user).where(in_list(attached.c.policy, policies), attached.c.user.is_not(None))
        is_public = and_(_column("role").is_(None), _is_public(attached, policies))
        return or_(_column("id").in_(direct), held_by_role(policies), is_public)

    return holds


def _held_by_role(closure: CTE, attached: CTE, column: str | None = None) -> Holds:
    role: ColumnElement[Any] = _column(column) if column else _ROLES.c.id

    def holds(policies: Collection[str]) -> ColumnElement[bool]:
        holders = select(closure.c.role).join(attached, attached.c.role == closure.c.ancestor)
        return role.in_(holders.where(in_list(attached.c.policy, policies)))

    return holds


def _is_public(attached: CTE, policies: Collection[str]) -> ColumnElement[bool]:
    to_everyone = and_(attached.c.role.is_(None), attached.c.user.is_(None))
    return exists(select(1).select_from(attached).where(to_everyone, in_list(attached.c.policy, policies)))


def _policy_lists(closure: CTE, attached: CTE) -> Select[Any]:
    """Return each user with the list of the policies that are in force for it."""
    by_role = select(_USERS.c.id.label("user"), attached.c.policy).join(closure, closure.c.role == _USERS.c.role)
    public = and_(attached.c.role.is_(None), attached.c.user.is_(None), _USERS.c.role.is_(None))
    held = union(
        by_role.join(attached, attached.c.role == closure.c.ancestor),
        select(attached.c.user, attached.c.policy).where(attached.c.user.is_not(None)),
        select(_USERS.c.id, attached.c.policy).join_from(_USERS, attached, public),
    ).subquery("held")
    return select(held.c.user, ListOfRows(held.c.policy).label("policies")).group_by(held.c.user)


def _json(rows: Select[Any]) -> ColumnElement[Any]:
    found: FromClause = rows.subquery()
    return select(cast(JSONRows(JSONArray(*found.c)), Text)).select_from(found).scalar_subquery()
