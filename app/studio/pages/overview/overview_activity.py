"""What the start page says about sign-ins: how many on each day, and the last ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from app.studio.page_request import PageRequest
from app.studio.rights import Rights

DAYS = 14
MAX_EVENTS = 8
EVENT_AGE = timedelta(days=30)
EVENTS = ("login", "lockout")
NAME_FIELDS = ("id", "first_name", "last_name", "email")


@dataclass(frozen=True, slots=True)
class SignIns:
    """The number of sign-ins of each day in UTC, the oldest day first."""

    days: Sequence[tuple[date, int]]

    @property
    def total(self) -> int:
        """The number of all of them."""
        return sum(count for _, count in self.days)

    @property
    def most(self) -> int:
        """The largest number of one day."""
        return max(count for _, count in self.days)


async def read_sign_ins(request: PageRequest, rights: Rights) -> SignIns | None:
    """Return the sign-ins of the last days; None if the caller may not read them.

    Each day is counted by itself: that uses the index on times, and is four times faster than grouping by day.
    """
    if not rights.may_fields("read", "activity", ["action", "timestamp"]):
        return None
    today = request.services.clock().astimezone(UTC).date()
    days = [today - timedelta(days=age) for age in reversed(range(DAYS))]
    parameters = ", ".join(f"$day{index}: directus_activity_filter" for index in range(DAYS))
    counts = "\n".join(
        f"  day{index}: activity_aggregated(filter: $day{index}) {{ countAll }}" for index in range(DAYS)
    )
    variables = {f"day{index}": _logins_of(day) for index, day in enumerate(days)}
    data = await request.execute(f"query SignIns({parameters}) {{\n{counts}\n}}", variables)
    return SignIns([(day, data[f"day{index}"][0]["countAll"]) for index, day in enumerate(days)])


async def read_access_events(request: PageRequest, rights: Rights) -> Sequence[Mapping[str, Any]] | None:
    """Return the last sign-ins and lockouts; None if the caller may not read them."""
    if not rights.may_fields("read", "activity", ["id", "action", "timestamp"]):
        return None
    fields = ["id", "action", "timestamp", *rights.fields("read", "activity", ["ip"])]
    names = rights.fields("read", "users", NAME_FIELDS)
    if "id" in names and rights.may_field("read", "activity", "user"):
        fields.append(f"user {{ {' '.join(names)} }}")
    since = (request.services.clock() - EVENT_AGE).isoformat()
    conditions = [{"timestamp": {"_gte": since}}, {"action": {"_in": list(EVENTS)}}]
    document = f"""query Events($filter: directus_activity_filter) {{
  activity(filter: $filter, sort: ["-timestamp", "-id"], limit: {MAX_EVENTS}) {{ {" ".join(fields)} }}
}}"""
    rows: list[dict[str, Any]] = (await request.execute(document, {"filter": {"_and": conditions}}))["activity"]
    return rows


def _logins_of(day: date) -> dict[str, Any]:
    start = datetime.combine(day, time(), UTC)
    times = ({"_gte": start.isoformat()}, {"_lt": (start + timedelta(days=1)).isoformat()})
    return {"_and": [{"action": {"_eq": "login"}}, *({"timestamp": condition} for condition in times)]}
