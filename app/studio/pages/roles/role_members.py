"""The users of a role, and those who could be added to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from app.studio.page_numbers import page_number
from app.studio.page_request import PageRequest
from app.studio.pages.roles.role_hierarchy import role_name
from app.studio.rights import Rights

USERS_IN_ROLE = "users-in-role"
"""The id of the part of a role's page that lists its users."""
PAGE_SIZE = 25
USER_FIELDS = ("first_name", "last_name", "email", "status", "last_access")
SORT_FIELDS = ("last_name", "first_name", "email")
IN_ROLE = "role: {id: {_eq: $role}}"
NOT_IN_ROLE = "_or: [{role: {id: {_neq: $role}}}, {role: {id: {_null: true}}}]"


@dataclass(frozen=True, slots=True)
class Member:
    """A user as a list shows it; what the caller cannot see is None."""

    id: str
    name: str
    email: str | None
    status: str | None
    last_access: str | None
    role: str
    """The name of the user's role."""


@dataclass(frozen=True, slots=True)
class MemberList:
    """A page of users: those who match a search, and how many there are."""

    users: Sequence[Member]
    search: str
    page: int
    pages: int
    matches: int
    total: int
    """The number of users regardless of the search."""
    fields: frozenset[str]
    """The fields of users that the caller can see."""
    invited: int = 0
    """The number of pending invitations among all."""
    only_invited: bool = False


async def read_members(request: PageRequest, role: str) -> MemberList:
    """Return the page of the users of a role that the address asks for."""
    rights = await request.rights()
    has_status = rights.may_field("read", "users", "status")
    only_invited = has_status and request.query.get("invited") == "true"
    condition = f'{IN_ROLE}, status: {{_eq: "invited"}}' if only_invited else IN_ROLE
    pending = f'invited: users_aggregated(filter: {{{IN_ROLE}, status: {{_eq: "invited"}}}}) {{ count {{ id }} }}'
    return await _read(request, role, condition, IN_ROLE, pending if has_status else "", only_invited=only_invited)


async def read_candidates(request: PageRequest, role: str) -> MemberList:
    """Return the page of the users without this role that the address asks for, all users if roles are hidden."""
    rights = await request.rights()
    condition = NOT_IN_ROLE if rights.may_field("read", "users", "role") else ""
    return await _read(request, role, condition, condition)


async def read_users(request: PageRequest, users: Sequence[str]) -> list[Member]:
    """Return the users with these ids that the caller can see."""
    if not users:
        return []
    rights = await request.rights()
    document = (
        "query SelectedUsers($users: [ID!]) {\n"
        f"  users(filter: {{id: {{_in: $users}}}}, sort: {_sort(rights)}, limit: -1) {{ {_selection(rights)} }}\n}}"
    )
    data = await request.execute(document, {"users": list(dict.fromkeys(users))})
    return [_member(row) for row in data["users"]]


async def _read(
    request: PageRequest, role: str, condition: str, all_users: str, counts: str = "", *, only_invited: bool = False
) -> MemberList:
    rights = await request.rights()
    search, page = request.query.get("search", "").strip(), page_number(request.query.get("page"))
    role_variable = "$role: ID!, " if condition else ""
    document = f"""query Users({role_variable}$search: String, $page: Int) {{
  users(filter: {{{condition}}}, search: $search, sort: {_sort(rights)}, limit: {PAGE_SIZE}, page: $page) {{
    {_selection(rights)}
  }}
  matches: users_aggregated(filter: {{{condition}}}, search: $search) {{ count {{ id }} }}
  total: users_aggregated(filter: {{{all_users}}}) {{ count {{ id }} }}
  {counts}
}}"""
    variables = {"role": role} if condition else {}
    data = await request.execute(document, {**variables, "search": search or None, "page": page})
    matches = _count(data["matches"])
    return MemberList(
        [_member(row) for row in data["users"]],
        search,
        page,
        ceil(matches / PAGE_SIZE),
        matches,
        _count(data["total"]),
        frozenset(rights.fields("read", "users", (*USER_FIELDS, "role"))),
        _count(data.get("invited")),
        only_invited,
    )


def _member(row: dict[str, Any]) -> Member:
    names = [row[name] for name in ("first_name", "last_name") if row.get(name)]
    return Member(
        row["id"],
        " ".join(names) or row.get("email") or row["id"],
        row.get("email"),
        row.get("status"),
        row.get("last_access"),
        role_name(row.get("role")),
    )


def _selection(rights: Rights) -> str:
    fields = ["id", *rights.fields("read", "users", USER_FIELDS)]
    if rights.may_field("read", "users", "role"):
        name = " name" if rights.may_field("read", "roles", "name") else ""
        fields.append(f"role {{ id{name} }}")
    return " ".join(fields)


def _sort(rights: Rights) -> str:
    names = [*rights.fields("read", "users", SORT_FIELDS), "id"]
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _count(groups: list[dict[str, Any]] | None) -> int:
    return int(groups[0]["count"]["id"]) if groups else 0
