"""Limits of the whole directory: an admin who can sign in always remains, and the number of users is limited."""

from sqlalchemy import case, func, select, true

from app.core.errors import LimitExceeded, UnprocessableContent
from app.core.ip_addresses import ip_matches
from app.policy.role_tree import IS_ADMIN, policy_holders
from app.query.collection import POLICIES, USERS
from app.repositories.engine.context import WriteContext
from app.repositories.services import UserLimits

_USERS, _POLICIES = USERS.table.c, POLICIES.table.c

_admins = policy_holders(IS_ADMIN)
ADMIN_NETWORKS = select(_POLICIES.ip_access).where(_POLICIES.id.in_(select(_admins.c.policy))).distinct()
"""The `ip_access` of every policy that makes an active user an admin."""

_holders = policy_holders()
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


async def check_last_admin(work: WriteContext) -> None:
    """Check that an active admin remains whose access is valid from the caller's IP address.

    Raises:
        UnprocessableContent: There would be none.
    """
    if not work.affected.admins:
        return
    networks = [row[0] for row in await work.writer.rows(work.writer.prepare(ADMIN_NETWORKS))]
    if not networks:
        raise UnprocessableContent("Cannot remove the last admin user from the system")
    ip = work.caller.ip
    if ip is not None and not any(not network or ip_matches(ip, network) for network in networks):
        raise UnprocessableContent("Cannot lock out the last admin user: no admin policy allows your IP address")


async def check_user_limits(work: WriteContext) -> None:
    """Check the number of active users of each kind against the settings.

    Raises:
        LimitExceeded: There would be more users of a kind than allowed.
    """
    limits = work.services.user_limits
    if not work.affected.user_counts or limits == UserLimits():
        return
    admins, apps, apis = (await work.writer.rows(work.writer.prepare(USER_COUNTS)))[0]
    kinds = (
        ("Active Admin users", admins, limits.admins),
        ("Active App users", apps, limits.apps),
        ("Active API users", apis, limits.apis),
    )
    for kind, count, max_count in kinds:
        if max_count is not None and count > max_count:
            raise LimitExceeded(kind)
