"""A caller's claim, asked of the database: its standing beside any answer, and all that its rights are made of."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.sql.selectable import CTE

from app.core.bindings import BoundParameter, parameter, slot
from app.core.caller import Caller
from app.core.clock import utc_now
from app.db.base import Timestamp
from app.db.models import VERSION, Permission, Policy, Role, Session, User
from app.db.models import Access as AccessRow
from app.policy.rules import AccessState
from app.query.sql_functions import JsonArray, JsonRows

TFA_SETUP_REQUIRED = 2
"""What is told instead of a live claim whose user still has no second factor, and needs one."""
CAST_TO_TEXT = {"permissions", "fields", "validation", "presets", "ip_access"}

_USERS, _ROLES, _ACCESS = User.__table__, Role.__table__, AccessRow.__table__
_POLICIES, _PERMISSIONS, _SESSIONS = Policy.__table__, Permission.__table__, Session.__table__

NOW = BoundParameter("now", ("now",), utc_now(), lambda given: given["now"])
"""The moment of a request, in a plan."""


def parameterized_caller(caller: Caller) -> Caller:
    """The caller as plans know it: the same kind of claim, of whomever."""
    claims = {name: getattr(caller, name) for name in ("user", "session", "token")}
    return caller._replace(**{name: slot(value, name) for name, value in claims.items() if value is not None})


def caller_bindings(caller: Caller) -> dict[str, Any]:
    """What a caller's claim gives to a plan."""
    return {"user": caller.user, "session": caller.session, "token": caller.token}


def caller_kind(caller: Caller) -> tuple[bool, ...]:
    """What kind of claim a caller makes; those of one kind are asked about by one statement."""
    return (
        caller.user is not None,
        caller.session is not None,
        caller.token is not None,
        caller.tfa_setup_required,
        caller.system,
    )


def with_access_state(caller: Caller, now: datetime | BoundParameter, *columns: ColumnElement[Any]) -> Select[Any]:
    """A statement that reads `columns` and, before them, the caller's standing: one row, always."""
    me = _USERS.alias()
    told = (VERSION.c.token, me.c.id, me.c.status, me.c.role)
    standing: list[ColumnElement[Any]] = [*(cast(column, Text) for column in told), _live(caller, me, now)]
    return select(*standing, *columns).select_from(VERSION.outerjoin(me, _claimed(caller, me)))


def read_access_state(row: Any) -> AccessState:
    """The standing at the head of such a statement's row."""
    return AccessState(*row[:5])


def _claimed(caller: Caller, row: FromClause) -> ColumnElement[bool]:
    if caller.token is not None:
        return row.c.token == literal(parameter(caller.token), Text())
    return row.c.id == literal(parameter(caller.user), row.c.id.type) if caller.user else false()


def _live(caller: Caller, me: FromClause, now: datetime | BoundParameter) -> ColumnElement[Any]:
    if caller.tfa_setup_required:
        signed_in = _live(caller._replace(tfa_setup_required=False), me, now)
        return case(
            (~signed_in, literal(0)), (me.c.tfa_secret.is_(None), literal(TFA_SETUP_REQUIRED)), else_=literal(1)
        )
    if caller.session is None:
        return true()
    mine = and_(_SESSIONS.c.token == literal(parameter(caller.session), Text()), _SESSIONS.c.user == me.c.id)
    return exists(select(1).where(mine, _SESSIONS.c.expires >= literal(now, Timestamp())).correlate(me))


def access_query(caller: Caller, now: datetime | BoundParameter) -> Select[Any]:
    """The standing, then the role tree, the policies and their permissions, each as a JSON text."""
    tree = _tree(caller)
    held = select(_held(caller, tree).c.id)
    return with_access_state(
        caller,
        now,
        _rows(tree, "id", "parent"),
        _rows(
            _POLICIES, "id", "ip_access", "admin_access", "app_access", "enforce_tfa", where=_POLICIES.c.id.in_(held)
        ),
        _rows(
            _PERMISSIONS,
            "policy",
            "action",
            "collection",
            "permissions",
            "fields",
            "validation",
            "presets",
            where=_PERMISSIONS.c.policy.in_(held),
        ),
    )


def _rows(table: Any, *names: str, where: ColumnElement[bool] | None = None) -> ColumnElement[Any]:
    cells = [cast(table.c[name], Text) if name in CAST_TO_TEXT else table.c[name] for name in names]
    rows = select(cast(JsonRows(JsonArray(*cells)), Text)).select_from(table)
    return (rows if where is None else rows.where(where)).scalar_subquery()


def _tree(caller: Caller) -> CTE:
    """The caller's role and its ancestors; a loop among roles ends where it closes."""
    me = _USERS.alias()
    mine = select(_ROLES.c.id, _ROLES.c.parent).join(me, me.c.role == _ROLES.c.id).where(_claimed(caller, me))
    tree = mine.cte("tree", recursive=True)
    above = _ROLES.alias()
    return tree.union(select(above.c.id, above.c.parent).join(tree, tree.c.parent == above.c.id))


def _held(caller: Caller, tree: CTE) -> CTE:
    """The policies of the caller, of its roles, and, for those without a role, of the public."""
    me = _USERS.alias()
    held = or_(
        _ACCESS.c.role.in_(select(tree.c.id)),
        _ACCESS.c.user.in_(select(me.c.id).where(_claimed(caller, me))),
        and_(
            _ACCESS.c.role.is_(None),
            _ACCESS.c.user.is_(None),
            ~exists(select(1).where(_claimed(caller, me), me.c.role.is_not(None))),
        ),
    )
    return select(_ACCESS.c.policy.label("id")).where(held).distinct().cte("held")
