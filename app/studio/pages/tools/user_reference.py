"""Finds the user that a text names: an email address, an id, or a part of a name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.studio.page_request import PageRequest
from app.studio.pages.users.user_filters import SEARCHED, search_conditions

MAX_MATCHES = 10


@dataclass(frozen=True, slots=True)
class MatchingUser:
    """A user that the caller may see; `reference` is a text that names only this user."""

    id: str
    name: str
    reference: str
    status: str | None
    """None if the caller may not read it."""

    @property
    def label(self) -> str:
        """The email address if it is readable, else the name."""
        return self.name if self.reference == self.id else self.reference


async def find_users(request: PageRequest, text: str) -> Sequence[MatchingUser]:
    """Return the visible users that a text names, at most one more than `MAX_MATCHES`.

    An email address or an id names one user; other texts, and incomplete addresses, are searched for in names.
    """
    rights = await request.rights()
    fields = rights.fields("read", "users", ("id", *SEARCHED, "status"))
    if "id" not in fields:
        return []
    searched = [name for name in SEARCHED if name in fields]
    if key := _uuid(text):
        return await _read(request, fields, [{"id": {"_eq": key}}])
    if "@" in text and "email" in fields:
        user = await request.directory["users"].get_user_by_email(text)
        if user is not None:
            return await _read(request, fields, [{"id": {"_eq": str(user["id"])}}])
    return await _read(request, fields, conditions) if (conditions := search_conditions(text, searched)) else []


async def _read(
    request: PageRequest, fields: Sequence[str], conditions: Sequence[Mapping[str, Any]]
) -> Sequence[MatchingUser]:
    order = ", ".join(f'"{name}"' for name in (*(name for name in fields if name in SEARCHED), "id"))
    document = f"""query Users($filter: directus_users_filter) {{
  users(filter: $filter, sort: [{order}], limit: {MAX_MATCHES + 1}) {{ {" ".join(fields)} }}
}}"""
    data = await request.execute(document, {"filter": {"_and": list(conditions)}})
    return [_matching_user(row) for row in data["users"]]


def _matching_user(row: Mapping[str, Any]) -> MatchingUser:
    full_name = " ".join(filter(None, (row.get("first_name"), row.get("last_name"))))
    reference = row.get("email") or row["id"]
    return MatchingUser(row["id"], full_name or reference, reference, row.get("status"))


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
