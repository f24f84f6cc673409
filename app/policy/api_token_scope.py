"""What an API token may do at most, and the SQL that reads it in the same statement as the rights of its owner."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Text, cast, exists, literal, select, union
from sqlalchemy.sql.selectable import ScalarSelect

from app.core.bindings import BoundParameter, parameter
from app.core.caller import Caller
from app.core.ip_addresses import ip_matches
from app.db.models import API_TOKEN_POLICIES, API_TOKENS, Access, User
from app.policy.access_expiry import json_rows, parse_end, valid_access
from app.query.sql_functions import JSONArray, JSONRows

_TOKENS, _SCOPES = API_TOKENS.c, API_TOKEN_POLICIES.c
_ACCESS, _USERS = Access.__table__, User.__table__


@dataclass(frozen=True, slots=True)
class APITokenScope:
    """The limits of an API token. Its rights are those of its owner that are also within these limits.

    `policies` are the keys of the policies that it is limited to, None for all. They include those of the public if its
    owner holds these: what everyone may do without a token stays possible with one.
    """

    id: str
    expires: datetime | None
    read_only: bool
    ip_access: tuple[str, ...]
    policies: frozenset[str] | None

    def includes(self, policy: str) -> bool:
        """Return whether the token has the rights of a policy, if its owner has them."""
        return self.policies is None or policy in self.policies

    def is_usable_at(self, ip: str | None) -> bool:
        """Return whether the token may be used at an IP address."""
        return not self.ip_access or ip_matches(ip, self.ip_access)


def token_owner(caller: Caller) -> ScalarSelect[Any]:
    """Return the id of the user to whom the API token of a caller belongs, as a subquery."""
    return select(_TOKENS.user).where(_is_token(caller)).scalar_subquery()


def scope_columns(caller: Caller, now: datetime | BoundParameter) -> list[ColumnElement[Any]]:
    """Return the columns for `parse_scope`: the API token of a caller and the policies in its scope, as JSON texts."""
    cells = (_TOKENS.id, _TOKENS.expires, _TOKENS.read_only, _TOKENS.scoped, cast(_TOKENS.ip_access, Text))
    token = select(cast(JSONRows(JSONArray(*cells)), Text)).where(_is_token(caller))
    has_role = exists(select(1).where(_USERS.c.id == token_owner(caller), _USERS.c.role.is_not(None)))
    scope = union(
        select(_SCOPES.policy).join(API_TOKENS, _SCOPES.token == _TOKENS.id).where(_is_token(caller)),
        valid_access(_ACCESS.c.policy, now=now).where(_ACCESS.c.role.is_(None), _ACCESS.c.user.is_(None), ~has_role),
    )
    return [token.scalar_subquery(), json_rows(scope)]


def parse_scope(token: str, policies: str) -> APITokenScope | None:
    """Return the scope from the values of `scope_columns`; None if the token does not exist."""
    for key, expires, read_only, scoped, ip_access in orjson.loads(token):
        rules = tuple(ip_access.split(",")) if ip_access else ()
        keys = frozenset(policy for (policy,) in orjson.loads(policies))
        return APITokenScope(
            key, parse_end(expires) if expires else None, bool(read_only), rules, keys if scoped else None
        )
    return None


def _is_token(caller: Caller) -> ColumnElement[bool]:
    return _TOKENS.hash == literal(parameter(caller.api_token), Text())
