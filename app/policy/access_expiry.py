"""When the policies that are attached for a limited time stop applying: the SQL for it, and its rows.

An access row that has expired grants nothing from that moment on. Times are compared with the clock of the process, as
those of sessions are.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, Text, cast, func, literal, or_, select
from sqlalchemy.sql.selectable import FromClause, SelectBase

from app.core.bindings import BoundParameter
from app.core.timestamps import parse_stored_time, to_microseconds
from app.db.base import Timestamp
from app.db.models import ACCESS_EXPIRY, Access
from app.query.sql_functions import JSONArray, JSONRows

_ACCESS = Access.__table__
WITH_EXPIRY = _ACCESS.outerjoin(ACCESS_EXPIRY, ACCESS_EXPIRY.c.access == _ACCESS.c.id)
"""The access rows, each with its row of `rollcall_access_expiry` if it has one."""

PolicyEnds = Mapping[str, datetime]
"""When each of the policies that are held for a limited time ends; those without an end are missing."""
NO_ENDS: PolicyEnds = MappingProxyType({})
LAST_END = datetime.max.replace(tzinfo=UTC)
"""Stands for ends that Python's datetimes do not reach."""


def is_valid(now: datetime | BoundParameter) -> ColumnElement[bool]:
    """Return the condition that a row of `WITH_EXPIRY` has not expired."""
    return or_(ACCESS_EXPIRY.c.expires.is_(None), ACCESS_EXPIRY.c.expires > literal(now, Timestamp()))


def valid_access(*columns: ColumnElement[Any], now: datetime | BoundParameter) -> Select[Any]:
    """Return a SELECT of columns of the access rows that have not expired, and of their expiry."""
    return select(*columns).select_from(WITH_EXPIRY).where(is_valid(now))


def policy_ends(held: FromClause, *key: ColumnElement[Any]) -> Select[Any]:
    """Return a SELECT of the key and the end of each policy that all rows of its key hold for a limited time."""
    last = func.max(held.c.expires, type_=Timestamp())
    return select(*key, last).group_by(*key).having(func.count() == func.count(held.c.expires))


def json_rows(rows: SelectBase) -> ColumnElement[Any]:
    """Return the rows of a SELECT as one JSON text."""
    found = rows.subquery()
    return select(cast(JSONRows(JSONArray(*found.c)), Text)).select_from(found).scalar_subquery()


def parse_ends(text: str) -> PolicyEnds:
    """Return the ends of policies from the rows of `policy_ends`, as one JSON text."""
    return {policy: parse_end(end) for policy, end in orjson.loads(text)}


def has_ended(text: str, now: datetime) -> bool:
    """Return whether a time that the database returned in JSON is over."""
    return to_microseconds(parse_stored_time(text)) <= to_microseconds(now)


def parse_end(text: str) -> datetime:
    """Return an end that has not been reached yet, as the database returned it in JSON."""
    end = parse_stored_time(text)
    return end if isinstance(end, datetime) else LAST_END
