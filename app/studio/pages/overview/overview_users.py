"""What the start page says about users: how many have which status, and who is invited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.query.collection import USERS
from app.studio.page_request import PageRequest
from app.studio.rights import Rights

STATUSES = ("active", "invited", "unverified", "draft", "suspended", "archived")
"""The order of the chart; other statuses follow."""
NAME_FIELDS = ("first_name", "last_name", "email")
MAX_INVITATIONS = 6
MAX_INVITATION_AGE = timedelta(days=30)

BY_STATUS = '{ users_aggregated(groupBy: ["status"]) { group countAll } }'
CREATED = """query Created($filter: directus_activity_filter) {
  activity(filter: $filter, sort: ["id"], limit: -1) { item timestamp }
}"""


@dataclass(frozen=True, slots=True)
class UsersByStatus:
    """The number of users of each status, and of all of them."""

    counts: Sequence[tuple[str, int]]
    total: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invited user; `days` is the age of the invitation, None if it is older than its link is valid, or unknown."""

    user: Mapping[str, Any]
    created: str | None
    days: int | None


@dataclass(frozen=True, slots=True)
class PendingInvitations:
    """The number of invited users, and the first of them; `ages_known` is whether the caller may read their ages."""

    count: int
    first: Sequence[Invitation]
    ages_known: bool


async def read_users_by_status(request: PageRequest, rights: Rights) -> UsersByStatus | None:
    """Return the users by status; None if the caller may not read that."""
    if not rights.may_field("read", "users", "status"):
        return None
    rows = (await request.execute(BY_STATUS))["users_aggregated"]
    counts: dict[str, int] = {row["group"]["status"]: row["countAll"] for row in rows if row["group"]["status"]}
    names = [name for name in STATUSES if name in counts] + sorted(counts.keys() - set(STATUSES))
    return UsersByStatus([(name, counts[name]) for name in names], sum(counts.values()))


async def read_invitations(
    request: PageRequest, rights: Rights, statuses: UsersByStatus | None
) -> PendingInvitations | None:
    """Return the pending invitations; None if the caller may not read them, or there are none."""
    count = dict(statuses.counts).get("invited", 0) if statuses else 0
    if not count or not rights.may_field("read", "users", "id"):
        return None
    fields = " ".join(["id", *rights.fields("read", "users", NAME_FIELDS)])
    sort = rights.fields("read", "users", ["email", "id"])[0]
    document = f"""{{
  users(filter: {{ status: {{ _eq: "invited" }} }}, sort: ["{sort}"], limit: {MAX_INVITATIONS}) {{ {fields} }}
}}"""
    users = (await request.execute(document))["users"]
    is_known = rights.may_fields("read", "activity", ["id", "action", "collection", "item", "timestamp"])
    created = await _created(request, [user["id"] for user in users]) if is_known else {}
    now = request.services.clock()
    first = [_invitation(user, created.get(user["id"]), now) for user in users]
    return PendingInvitations(count, first, is_known)


async def _created(request: PageRequest, users: Sequence[str]) -> dict[str, str]:
    """Return when users were created, as far as their invitations are still valid.

    Only recent activity is searched, because there is an index on its times only.
    """
    ttl = min(request.services.settings.user_invite_token_ttl, MAX_INVITATION_AGE)
    conditions: list[dict[str, Any]] = [
        {"timestamp": {"_gte": (request.services.clock() - ttl).isoformat()}},
        {"action": {"_eq": "create"}},
        {"collection": {"_eq": USERS.name}},
        {"item": {"_in": list(users)}},
    ]
    data = await request.execute(CREATED, {"filter": {"_and": conditions}})
    return {row["item"]: row["timestamp"] for row in data["activity"]}


def _invitation(user: Mapping[str, Any], created: str | None, now: datetime) -> Invitation:
    days = (now - datetime.fromisoformat(created)).days if created else None
    return Invitation(user, created, days)
