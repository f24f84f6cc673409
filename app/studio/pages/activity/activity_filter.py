"""The filters of the list of activity, which its address holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from app.studio.form_errors import FormErrors
from app.studio.page_request import PageRequest
from app.studio.rights import Rights

ACTIONS = ("login", "lockout", "create", "update", "delete", "expire")
NAMES = ("action", "collection", "item", "user", "from", "to")
FIELDS = {"action": "action", "collection": "collection", "item": "item", "from": "timestamp", "to": "timestamp"}
"""The fields of the filters except for `user`, which compares a relation."""
TIMED, IDENTIFIED = {"from": "_gte", "to": "_lt"}, ("action", "collection", "item")

Condition = dict[str, Any]


@dataclass(slots=True)
class ActivityFilter:
    """The filters of a request: their `values` by name, the `conditions` that they mean, and the errors in them."""

    values: dict[str, str]
    offered: Sequence[str]
    conditions: list[Condition] = field(default_factory=list)
    errors: FormErrors = field(default_factory=dict)


async def read_filter(request: PageRequest, rights: Rights) -> ActivityFilter:
    """Return the filters of a request, as far as the caller may compare their fields."""
    offered = [name for name, field_ in FIELDS.items() if rights.may_field("read", "activity", field_)]
    if rights.may_field("read", "activity", "user") and rights.may_field("read", "users", "id"):
        offered.append("user")
    query = request.query
    result = ActivityFilter({name: query[name].strip() for name in offered if query.get(name, "").strip()}, offered)
    for name, value in result.values.items():
        if name in IDENTIFIED:
            result.conditions.append({name: {"_eq": value}})
        elif name in TIMED:
            _add_time(request, result, name, value)
    if "user" in result.values:
        await _add_user(request, result, result.values["user"])
    return result


def _add_time(request: PageRequest, result: ActivityFilter, name: str, value: str) -> None:
    try:
        day = date.fromisoformat(value)
        moment = datetime.combine(day, time(), UTC) + timedelta(days=1 if name == "to" else 0)
    except (ValueError, OverflowError):
        result.errors[name] = request.translate("Enter a date such as 2026-01-31.")
        return
    result.conditions.append({"timestamp": {TIMED[name]: moment.isoformat()}})


async def _add_user(request: PageRequest, result: ActivityFilter, value: str) -> None:
    """Add the condition that a user acted, who is named by an id or by an email."""
    try:
        key: str | None = str(UUID(value))
    except ValueError:
        user = await request.directory["users"].get_user_by_email(value)
        key = (user or {}).get("id")
    if key is None:
        result.errors["user"] = request.translate("No user has this email address.")
    else:
        result.conditions.append({"user": {"id": {"_eq": key}}})
