"""The SQL that reads a caller's access: its state along with any statement, and its roles, policies and permissions."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, Self

import orjson
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

from app.core.auth_providers import DEFAULT_PROVIDER
from app.core.bindings import BoundParameter, parameter, slot
from app.core.caller import Caller
from app.core.clock import utc_now
from app.db.base import Timestamp
from app.db.models import ACCESS_EXPIRY, PASSKEYS, VERSION, Permission, Policy, Role, Session, User
from app.db.models import Access as AccessRow
from app.policy.access_expiry import NO_ENDS, PolicyEnds, json_rows, parse_ends, policy_ends, valid_access
from app.policy.api_token_scope import APITokenScope, parse_scope, scope_columns, token_owner
from app.policy.grantor_rights import CONDITIONAL_ACTIONS, GrantedPolicy
from app.policy.permission_summary import PermissionGrant, may_grant, parse_grant
from app.policy.role_tree import with_ancestors
from app.policy.rules import AccessState, ParsedRule, parse_rule
from app.query.collection import Registry
from app.query.size import SizeLimits
from app.query.sql_functions import JSONArray, JSONRows

TFA_SETUP_REQUIRED = 2
"""The value of `AccessState.live` for a caller who must set up TFA and has not done so yet."""
KeyCondition = Callable[[ColumnElement[Any]], ColumnElement[bool]]
"""Builds a condition on the key of a policy."""
SCOPE_COLUMN = 10
"""The index of the first column of the scope in a row of `access_query`."""
CREDENTIALS = ("user", "session", "token", "api_token")
"""The fields of a caller whose values plans bind."""
CAST_TO_TEXT = {"permissions", "fields", "validation", "presets", "ip_access"}

_USERS, _ROLES, _ACCESS = User.__table__, Role.__table__, AccessRow.__table__
_POLICIES, _PERMISSIONS, _SESSIONS = Policy.__table__, Permission.__table__, Session.__table__

NOW = BoundParameter("now", ("now",), utc_now(), lambda bindings: bindings["now"])
"""The time of the request, as plans bind it."""


def parameterized_caller(caller: Caller) -> Caller:
    """Return a caller of the same kind with slots for its ids and tokens, as plans use it."""
    values = {name: getattr(caller, name) for name in CREDENTIALS}
    return caller._replace(**{name: slot(value, name) for name, value in values.items() if value is not None})


def caller_bindings(caller: Caller) -> dict[str, Any]:
    """Return the values that plans bind for a caller."""
    return {name: getattr(caller, name) for name in CREDENTIALS}


def caller_kind(caller: Caller) -> tuple[bool, ...]:
    """Return the kind of a caller; callers of one kind share the same SQL text."""
    return (
        caller.user is not None,
        caller.session is not None,
        caller.token is not None,
        caller.api_token is not None,
        caller.tfa_setup_required,
        caller.system,
    )


def with_access_state(caller: Caller, now: datetime | BoundParameter, *columns: ColumnElement[Any]) -> Select[Any]:
    """Return a SELECT of the caller's access state followed by `columns`; it always yields exactly one row."""
    me = _USERS.alias()
    texts = (VERSION.c.token, me.c.id, me.c.status, me.c.role)
    state: list[ColumnElement[Any]] = [*(cast(column, Text) for column in texts), _is_live(caller, me, now)]
    return select(*state, *columns).select_from(VERSION.outerjoin(me, _matches_caller(caller, me)))


def _matches_caller(caller: Caller, row: FromClause) -> ColumnElement[bool]:
    if caller.token is not None:
        return row.c.token == literal(parameter(caller.token), Text())
    if caller.api_token is not None:
        return row.c.id == token_owner(caller)
    return row.c.id == literal(parameter(caller.user), row.c.id.type) if caller.user else false()


def _is_live(caller: Caller, me: FromClause, now: datetime | BoundParameter) -> ColumnElement[Any]:
    if caller.tfa_setup_required:
        is_live = _is_live(caller._replace(tfa_setup_required=False), me, now)
        own_passkey = select(1).where(PASSKEYS.c.user == me.c.id, me.c.provider == DEFAULT_PROVIDER).correlate(me)
        has_none = and_(me.c.tfa_secret.is_(None), ~exists(own_passkey))
        return case((~is_live, literal(0)), (has_none, literal(TFA_SETUP_REQUIRED)), else_=literal(1))
    if caller.session is None:
        return true()
    session = and_(_SESSIONS.c.token == literal(parameter(caller.session), Text()), _SESSIONS.c.user == me.c.id)
    return exists(select(1).where(session, _SESSIONS.c.expires >= literal(now, Timestamp())).correlate(me))


def access_query(caller: Caller, now: datetime | BoundParameter) -> Select[Any]:
    """Return a SELECT of the access state, the roles, policies and permissions, the schema token, and policies' ends.

    The roles are the caller's role and its ancestors; the policies are all that are attached and have not expired,
    whatever the IP address. Rows are JSON texts. For an API token, the columns of its scope follow.
    """
    tree = _role_tree(caller)
    return _select_access(caller, now, tree, _held_policies(caller, tree, now))


def role_access_query(role: str, now: datetime) -> Select[Any]:
    """Return the same SELECT for a role as such: its access state is that of an anonymous caller."""
    tree = with_ancestors(select(_ROLES.c.id, _ROLES.c.parent).where(_ROLES.c.id == role))
    valid = valid_access(_ACCESS.c.policy.label("id"), ACCESS_EXPIRY.c.expires, now=now)
    return _select_access(Caller(), now, tree, valid.where(_ACCESS.c.role.in_(select(tree.c.id))).cte("held"))


def _select_access(caller: Caller, now: datetime | BoundParameter, tree: CTE, held: CTE) -> Select[Any]:
    policy_ids = select(held.c.id)
    return with_access_state(
        caller,
        now,
        _rows(tree, "id", "parent"),
        policy_rows(lambda key: key.in_(policy_ids)),
        permission_rows(lambda key: key.in_(policy_ids)),
        cast(VERSION.c.schema_token, Text),
        json_rows(policy_ends(held, held.c.id)),
        *(scope_columns(caller, now) if caller.api_token is not None else ()),
    )


class AccessRows(NamedTuple):
    """The row of `access_query`: a caller's access state, and the rows of its roles, policies and permissions.

    `scope` limits them if the caller uses an API token.
    """

    state: AccessState
    roles: list[Any]
    policies: list[Any]
    permissions: list[Any]
    schema_token: str
    ends: PolicyEnds
    scope: APITokenScope | None = None

    @classmethod
    def parse(cls, row: Any) -> Self:
        """Return the values of a row of `access_query`."""
        roles, policies, permissions = (orjson.loads(text) for text in row[5:8])
        scope = parse_scope(*row[SCOPE_COLUMN:]) if len(row) > SCOPE_COLUMN else None
        return cls(AccessState.read(row), roles, policies, permissions, row[8], parse_ends(row[9]), scope)


def policy_rows(condition: KeyCondition) -> ColumnElement[Any]:
    """Return the policies whose key fulfils a condition, as one JSON text."""
    names = ("id", "ip_access", "admin_access", "app_access", "enforce_tfa")
    return _rows(_POLICIES, *names, where=condition(_POLICIES.c.id))


def permission_rows(condition: KeyCondition) -> ColumnElement[Any]:
    """Return the permissions of the policies whose key fulfils a condition, as one JSON text."""
    names = ("policy", "action", "collection", "permissions", "fields", "validation", "presets", "id")
    return _rows(_PERMISSIONS, *names, where=condition(_PERMISSIONS.c.policy))


def parse_policies(
    policies: Iterable[list[Any]],
    permissions: Iterable[list[Any]],
    limits: SizeLimits,
    registry: Registry,
    ends: PolicyEnds = NO_ENDS,
) -> tuple[GrantedPolicy, ...]:
    """Return policies with their permissions, from the rows of `policy_rows` and `permission_rows`, and their ends."""
    grants: dict[str, list[PermissionGrant]] = {}
    for policy, action, collection, rule, fields, validation, presets, _ in permissions:
        texts = (action, collection, rule, fields, validation, presets)
        applies = may_grant(action, rule, validation) and _applies(
            action, parse_rule(*texts, limits=limits, registry=registry), collection, registry
        )
        grants.setdefault(policy, []).append(replace(parse_grant(*texts), applies=applies))
    return tuple(
        GrantedPolicy(
            key,
            bool(admin),
            bool(app),
            bool(enforce_tfa),
            tuple(ip_access.split(",")) if ip_access else (),
            tuple(grants.get(key, ())),
            ends.get(key),
        )
        for key, ip_access, admin, app, enforce_tfa in policies
    )


def _applies(action: str, parsed: ParsedRule, collection: str, registry: Registry) -> bool:
    """Return whether a permission grants anything, and, for created and updated rows, imposes its conditions."""
    if collection not in registry or parsed.rule is not None:
        return True
    return parsed.problem is None and action not in CONDITIONAL_ACTIONS


def _rows(table: Any, *names: str, where: ColumnElement[bool] | None = None) -> ColumnElement[Any]:
    cells = [cast(table.c[name], Text) if name in CAST_TO_TEXT else table.c[name] for name in names]
    rows = select(cast(JSONRows(JSONArray(*cells)), Text)).select_from(table)
    return (rows if where is None else rows.where(where)).scalar_subquery()


def _role_tree(caller: Caller) -> CTE:
    """Return the caller's role and its ancestors."""
    me = _USERS.alias()
    own = select(_ROLES.c.id, _ROLES.c.parent).join(me, me.c.role == _ROLES.c.id).where(_matches_caller(caller, me))
    return with_ancestors(own)


def _held_policies(caller: Caller, tree: CTE, now: datetime | BoundParameter) -> CTE:
    """Return the policies of the caller, of its roles and, for callers without a role, the public ones.

    There is a row for each access row that has not expired.
    """
    me = _USERS.alias()
    is_attached = or_(
        _ACCESS.c.role.in_(select(tree.c.id)),
        _ACCESS.c.user.in_(select(me.c.id).where(_matches_caller(caller, me))),
        and_(
            _ACCESS.c.role.is_(None),
            _ACCESS.c.user.is_(None),
            ~exists(select(1).where(_matches_caller(caller, me), me.c.role.is_not(None))),
        ),
    )
    return valid_access(_ACCESS.c.policy.label("id"), ACCESS_EXPIRY.c.expires, now=now).where(is_attached).cte("held")
