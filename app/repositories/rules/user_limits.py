"""User limits: no more active users of a kind than the settings allow."""

from sqlalchemy import case, func, select, true

from app.core.errors import LimitExceeded
from app.policy.access_expiry import is_valid
from app.policy.access_queries import NOW
from app.policy.role_tree import IS_ADMIN, policy_holders
from app.query.collection import POLICIES, USERS
from app.repositories.engine.context import WriteContext
from app.repositories.services import UserLimits

_USERS, _POLICIES = USERS.table.c, POLICIES.table.c


_holders = policy_holders(is_valid(NOW))
_kind = func.max(case((IS_ADMIN, 2), (_POLICIES.app_access.is_(true()), 1), else_=0))
_kinds = (
    select(_kind.label("kind"))
    .select_from(
        USERS.table.outerjoin(_holders, _holders.c.user == _USERS.id).outerjoin(
            POLICIES.table, _POLICIES.id == _holders.c.policy
        )
    )
    .where(_USERS.status == "active")
    .group_by(_USERS.id)
    .subquery("kinds")
)
USER_COUNTS = select(*(func.coalesce(func.sum(case((_kinds.c.kind == kind, 1), else_=0)), 0) for kind in (2, 1, 0)))
"""Counts the active users: admins, other users with app access, and all others."""


async def check_user_limits(work: WriteContext) -> None:
    """Check the number of active users of each kind against the settings.

    Raises:
        LimitExceeded: There would be more users of a kind than allowed.
    """
    limits = work.services.user_limits
    if not work.affected.user_counts or limits == UserLimits():
        return
    admins, apps, apis = (await work.writer.rows(work.writer.prepare(USER_COUNTS), {"now": work.now}))[0]
    kinds = (
        ("Active Admin users", admins, limits.admins),
        ("Active App users", apps, limits.apps),
        ("Active API users", apis, limits.apis),
    )
    for kind, count, max_count in kinds:
        if max_count is not None and count > max_count:
            raise LimitExceeded(kind)
