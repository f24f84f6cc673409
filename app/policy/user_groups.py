"""The SQL that groups users by what decides their rights, before and after the writes of a transaction."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    MetaData,
    Select,
    Subquery,
    Table,
    Text,
    case,
    cast,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.sql.dml import Insert

from app.db.models import ACCESS_EXPIRY, Access, User
from app.policy.access_expiry import parse_end, valid_access
from app.policy.rights_snapshot import Holder
from app.query.sql_functions import JoinedTexts

_USERS: Any = User.__table__
_ACCESS: Any = Access.__table__
ACTIVE: ColumnElement[str] = literal_column("'active'")
NAMES = ("role", "active", "policies")

_BEFORE = Table(
    "rollcall_users_before",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("role", Text),
    Column("active", Boolean, nullable=False),
    Column("policies", Text),
)
CREATE_USERS_BEFORE = text(
    "CREATE TEMPORARY TABLE rollcall_users_before "
    "(id TEXT PRIMARY KEY, role TEXT, active BOOLEAN NOT NULL, policies TEXT)"
)
"""Creates a temporary table; the end of a transaction that is rolled back removes it."""


class UserGroup(NamedTuple):
    """Users with the same role, policies of their own and status before a write, and the same after it.

    A holder is None while the users are not active or do not exist. `users` are the first ids of `size` users.
    """

    before: Holder | None
    after: Holder | None
    size: int
    users: tuple[str, ...]


def fill_users_before(now: datetime) -> Insert:
    """Return the statement that stores what decides the rights of every user at the moment."""
    current = _current_users(now)
    return insert(_BEFORE).from_select([column.name for column in _BEFORE.c], select(*current.c))


def select_user_groups(max_users: int, now: datetime) -> Select[Any]:
    """Return a SELECT of the groups that were or are active, for `read_user_groups`; each lists the first users."""
    pairs = _pairs(now).subquery()
    columns = [pairs.c[f"{name}_{when}"] for when in ("before", "after") for name in NAMES]
    number = func.row_number().over(partition_by=columns, order_by=pairs.c.id).label("number")
    is_active = or_(pairs.c.active_before, pairs.c.active_after)
    rows = select(pairs.c.id, *columns, number).where(is_active).subquery()
    first = JoinedTexts(case((rows.c.number <= literal_column(str(max_users)), rows.c.id)))
    keys = [rows.c[column.name] for column in columns]
    return select(*keys, func.count(), first).group_by(*keys)


def read_user_groups(rows: Iterable[Sequence[Any]]) -> Iterator[UserGroup]:
    """Yield the groups that a SELECT of `select_user_groups` returns."""
    for *keys, count, users in rows:
        yield UserGroup(_holder(*keys[:3]), _holder(*keys[3:]), count, tuple(sorted(users.split(","))))


def _holder(role: str | None, active: Any, policies: str | None) -> Holder | None:
    own = (part.partition("=") for part in policies.split(",")) if policies else ()
    return Holder(role, frozenset((key, parse_end(end) if end else None) for key, _, end in own)) if active else None


def _pairs(now: datetime) -> Select[Any]:
    """Return the users of before with what they are now, and those who are new."""
    before, current = _BEFORE.alias(), _current_users(now)
    known = select(before.c.id, *_named(before, "before"), *_named(current, "after")).select_from(
        before.outerjoin(current, current.c.id == before.c.id)
    )
    is_new = before.c.id.is_(None)
    new = select(current.c.id, *_missing(), *_named(current, "after")).select_from(
        current.outerjoin(before, before.c.id == current.c.id)
    )
    return select(union_all(known, new.where(is_new)).subquery())


def _named(source: Any, when: str) -> list[ColumnElement[Any]]:
    return [source.c[name].label(f"{name}_{when}") for name in NAMES]


def _missing() -> list[ColumnElement[Any]]:
    return [cast(null(), _BEFORE.c[name].type).label(f"{name}_before") for name in NAMES]


def _current_users(now: datetime) -> Subquery:
    """Return what decides the rights of every user: the policies of its own as `policy=end`, separated by commas."""
    end = func.coalesce(cast(ACCESS_EXPIRY.c.expires, Text), "")
    policy = cast(_ACCESS.c.policy, Text) + "=" + end
    own = (
        valid_access(_ACCESS.c.user.label("user"), JoinedTexts(policy).label("policies"), now=now)
        .where(_ACCESS.c.user.is_not(None))
        .group_by(_ACCESS.c.user)
        .subquery()
    )
    return (
        select(
            cast(_USERS.c.id, Text).label("id"),
            cast(_USERS.c.role, Text).label("role"),
            (_USERS.c.status == ACTIVE).label("active"),
            own.c.policies,
        )
        .select_from(_USERS.outerjoin(own, own.c.user == _USERS.c.id))
        .subquery()
    )
