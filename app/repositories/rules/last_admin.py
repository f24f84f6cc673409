"""The last admin: an active user with an admin policy, who can sign in from the caller's address, is always left.

The policy must be attached for good: an admin whose access expires cannot be the last one.
"""

from sqlalchemy import select

from app.core.errors import UnprocessableContent
from app.core.ip_addresses import ip_matches
from app.policy.role_tree import IS_ADMIN, IS_LASTING, policy_holders
from app.query.collection import POLICIES
from app.repositories.engine.context import WriteContext

LAST_ADMIN_MESSAGE = "Cannot remove the last admin user from the system"
LOCKED_OUT_MESSAGE = "Cannot lock out the last admin user: no admin policy allows your IP address"
_POLICIES = POLICIES.table.c

_admins = policy_holders(IS_ADMIN, IS_LASTING)
ADMIN_NETWORKS = select(_POLICIES.ip_access).where(_POLICIES.id.in_(select(_admins.c.policy))).distinct()
"""The `ip_access` of every policy that makes an active user an admin."""


async def check_last_admin(work: WriteContext) -> None:
    """Check that an active admin remains whose access is valid from the caller's IP address.

    Raises:
        UnprocessableContent: There would be none.
    """
    if not work.affected.admins:
        return
    networks = [row[0] for row in await work.writer.rows(work.writer.prepare(ADMIN_NETWORKS))]
    if not networks:
        raise UnprocessableContent(LAST_ADMIN_MESSAGE)
    ip = work.caller.ip
    if ip is not None and not any(not network or ip_matches(ip, network) for network in networks):
        raise UnprocessableContent(LOCKED_OUT_MESSAGE)
