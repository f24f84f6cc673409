"""The SQL that groups users by what decides their rights, and finds those for whom a transaction changes it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    TextClause,
    and_,
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

from app.db.base import POSTGRESQL, UUIDText
from app.db.models import ACCESS_EXPIRY, Access, User
from app.policy.access_expiry import json_rows, parse_end, valid_access
from app.policy.rights_snapshot import Holder
from app.query.sql_functions import JoinedTexts

_USERS: Any = User.__table__
_ACCESS: Any = Access.__table__
ACTIVE: ColumnElement[str] = literal_column("'active'")
NAMES = ("role", "active", "policies")


class UserGroup(NamedTuple):
    """Users with the same role, policies of their own and status before a transaction, and the same in it.

    A holder is None while the users are not active or do not exist. `users` are their ids.
    """

    before: Holder | None
    after: Holder | None
    users: Sequence[str]


class UserGroups:
    """The statements that group the active users, and that find the users whom a transaction changes.

    For the latter, a temporary table stores the users before the writes. On SQLite its key is that of the stored row,
    so that rows are found without another index.
    """

    def __init__(self, dialect: str, now: datetime) -> None:
        self._now, self._postgresql = now, dialect == POSTGRESQL
        key: Column[Any] = Column("key", UUIDText) if self._postgresql else Column("key", Integer, primary_key=True)
        columns = (
            Column("id", UUIDText),
            Column("role", UUIDText),
            Column("active", Boolean),
            Column("policies", Text),
        )
        self._before = Table("rollcall_users_before", MetaData(), key, *columns)
        self._key: ColumnElement[Any] = _USERS.c.id if self._postgresql else literal_column("directus_users.rowid")

    def create_table(self) -> TextClause:
        """Return the statement that creates the temporary table; a rollback removes it."""
        types = ("UUID", "UUID") if self._postgresql else ("INTEGER PRIMARY KEY", "TEXT")
        columns = f"key {types[0]}, id {types[1]}, role {types[1]}, active BOOLEAN, policies TEXT"
        return text(f"CREATE TEMPORARY TABLE rollcall_users_before ({columns})")

    def fill_table(self) -> Insert:
        """Return the statement that stores what decides the rights of every user now."""
        return insert(self._before).from_select([column.name for column in self._before.c], self._current())

    def active(self) -> Select[Any]:
        """Return a SELECT of one JSON text with the groups of active users, for `read_active`."""
        users = self._current().subquery()
        ids = JoinedTexts(cast(users.c.id, Text)).label("ids")
        rows = select(users.c.role, users.c.policies, ids).where(users.c.active)
        return select(json_rows(rows.group_by(users.c.role, users.c.policies)))

    def changed(self) -> Select[Any]:
        """Return a SELECT of the groups of users for whom something has changed, for `read_changed`."""
        users = union_all(self._changed_rows(), self._deleted_rows()).subquery()
        keys: list[ColumnElement[Any]] = []
        for when in ("before", "after"):
            role, *others = (users.c[f"{name}_{when}"] for name in NAMES)
            keys += [cast(role, Text), *others]
        is_active = or_(users.c.active_before, users.c.active_after)
        return select(*keys, JoinedTexts(cast(users.c.id, Text))).where(is_active).group_by(*keys)

    def _current(self) -> Select[Any]:
        """Return what decides the rights of every user: the policies of its own are `policy=end`, joined by commas."""
        end = func.coalesce(cast(ACCESS_EXPIRY.c.expires, Text), "")
        policy = cast(_ACCESS.c.policy, Text) + "=" + end
        own = (
            valid_access(_ACCESS.c.user.label("user"), JoinedTexts(policy).label("policies"), now=self._now)
            .where(_ACCESS.c.user.is_not(None))
            .group_by(_ACCESS.c.user)
            .subquery()
        )
        is_active = (_USERS.c.status == ACTIVE).label("active")
        columns = (self._key.label("key"), _USERS.c.id, _USERS.c.role, is_active, own.c.policies)
        return select(*columns).select_from(_USERS.outerjoin(own, own.c.user == _USERS.c.id))

    def _changed_rows(self) -> Select[Any]:
        before, current = self._before.alias(), self._current().subquery()
        is_same_row = and_(before.c.key == current.c.key, before.c.id == current.c.id)
        differs = or_(before.c.id.is_(None), *(before.c[name].is_distinct_from(current.c[name]) for name in NAMES))
        columns = (*_named(before, "before"), *_named(current, "after"))
        return select(current.c.id, *columns).select_from(current.outerjoin(before, is_same_row)).where(differs)

    def _deleted_rows(self) -> Select[Any]:
        before = self._before.alias()
        nothing = [cast(null(), before.c[name].type).label(f"{name}_after") for name in NAMES]
        exists = select(_USERS.c.id).where(_USERS.c.id == before.c.id).exists()
        return select(before.c.id, *_named(before, "before"), *nothing).where(~exists)


def read_active(text_: str) -> Iterator[UserGroup]:
    """Yield the groups that `UserGroups.active` selects."""
    for role, policies, users in orjson.loads(text_):
        holder = _holder(role, True, policies)
        yield UserGroup(holder, holder, users.split(","))


def read_changed(rows: Iterable[Sequence[Any]]) -> Iterator[UserGroup]:
    """Yield the groups that `UserGroups.changed` selects."""
    for *keys, users in rows:
        yield UserGroup(_holder(*keys[:3]), _holder(*keys[3:]), users.split(","))


def all_groups(active: Iterable[UserGroup], changed: Sequence[UserGroup]) -> Iterator[UserGroup]:
    """Yield the groups of users who were active, without those that changed, and then the latter."""
    moved = frozenset(user for group in changed for user in group.users)
    for group in active:
        users = [user for user in group.users if user not in moved] if moved else group.users
        if users:
            yield group._replace(users=users)
    yield from changed


def _holder(role: str | None, active: Any, policies: str | None) -> Holder | None:
    own = (part.partition("=") for part in policies.split(",")) if policies else ()
    return Holder(role, frozenset((key, parse_end(end) if end else None) for key, _, end in own)) if active else None


def _named(source: Any, when: str) -> list[ColumnElement[Any]]:
    return [source.c[name].label(f"{name}_{when}") for name in NAMES]
