"""The SQL that reads where a user's policies come from: the access rows through which they are attached."""

from sqlalchemy import Select, Text, and_, cast, literal, or_, select
from sqlalchemy.sql.selectable import FromClause

from app.db.models import ACCESS_EXPIRY, Access, Policy, Role
from app.policy.access_expiry import WITH_EXPIRY
from app.query.sql_functions import JSONArray, JSONRows
from app.query.sql_writes import in_list

_ACCESS, _POLICIES, _ROLES = Access.__table__, Policy.__table__, Role.__table__


def origins_query(user: str | None, roles: tuple[str, ...]) -> Select[tuple[str]]:
    """Return a SELECT of one JSON text: access row, policy, its name, role, its name, user, and end of each origin.

    Public access rows count for users without a role only. Those that have expired are included.
    """
    policy: FromClause = _POLICIES.alias()
    role: FromClause = _ROLES.alias()
    holders = [in_list(_ACCESS.c.role, roles)]
    if user is not None:
        holders.append(_ACCESS.c.user == literal(user, _ACCESS.c.user.type))
    if not roles:
        holders.append(and_(_ACCESS.c.role.is_(None), _ACCESS.c.user.is_(None)))
    cells = (
        _ACCESS.c.id,
        _ACCESS.c.policy,
        policy.c.name,
        _ACCESS.c.role,
        role.c.name,
        _ACCESS.c.user,
        ACCESS_EXPIRY.c.expires,
    )
    rows = (
        select(cast(JSONRows(JSONArray(*cells)), Text))
        .select_from(WITH_EXPIRY)
        .join(policy, policy.c.id == _ACCESS.c.policy)
        .outerjoin(role, role.c.id == _ACCESS.c.role)
        .where(or_(*holders))
    )
    return select(rows.scalar_subquery())
