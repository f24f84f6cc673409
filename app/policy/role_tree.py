"""The role tree in SQL: which roles inherit from which, and who holds which policy because of it.

Every recursion uses UNION, which discards duplicates, so that a cycle of roles terminates.
"""

from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, Subquery, select, true, union_all

from app.db.models import ACCESS_EXPIRY, Access, Policy, Role, User
from app.policy.access_expiry import WITH_EXPIRY

_USERS, _ROLES, _ACCESS, _POLICIES = User.__table__, Role.__table__, Access.__table__, Policy.__table__
IS_ADMIN = _POLICIES.c.admin_access.is_(true())
IS_LASTING = ACCESS_EXPIRY.c.expires.is_(None)


def with_ancestors(roles: Select[Any]) -> CTE:
    """Return the id and the parent of the selected roles and of all their ancestors; `roles` selects those columns."""
    tree = roles.cte("tree", recursive=True)
    parent = _ROLES.alias()
    return tree.union(select(parent.c.id, parent.c.parent).join(tree, tree.c.parent == parent.c.id))


def policy_holders(*conditions: ColumnElement[bool]) -> Subquery:
    """Return `user` and `policy` for each policy that fulfils the conditions and each active user who holds it.

    A user holds the policies attached to itself, to its role and to that role's ancestors; duplicates are possible.
    Without a condition on the expiry of access rows, those that have expired count too.
    """
    source = WITH_EXPIRY.join(_POLICIES, _POLICIES.c.id == _ACCESS.c.policy)
    attached = select(_ACCESS.c.role, _ACCESS.c.user, _ACCESS.c.policy).select_from(source).where(*conditions)
    granted = attached.with_only_columns(_ACCESS.c.role, _ACCESS.c.policy).where(_ACCESS.c.role.is_not(None))
    roles = granted.cte("granted", recursive=True)
    child = _ROLES.alias()
    roles = roles.union(select(child.c.id, roles.c.policy).join(roles, child.c.parent == roles.c.role))
    direct = attached.subquery()
    is_active = _USERS.c.status == "active"
    return union_all(
        select(_USERS.c.id.label("user"), roles.c.policy).join(roles, roles.c.role == _USERS.c.role).where(is_active),
        select(_USERS.c.id, direct.c.policy).join(direct, direct.c.user == _USERS.c.id).where(is_active),
    ).subquery("holders")


def select_active_admins() -> Select[Any]:
    """Return a SELECT of id and email of each active user who holds an admin policy, whatever its `ip_access`.

    The policy must be attached for good: admins whose access expires are not there to stay.
    """
    admins = policy_holders(IS_ADMIN, IS_LASTING)
    is_admin = _USERS.c.id.in_(select(admins.c.user))
    return select(_USERS.c.id, _USERS.c.email).where(is_admin).order_by(_USERS.c.id)
