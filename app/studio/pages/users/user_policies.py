"""The policies that a user has, and where each of them comes from."""

from dataclasses import dataclass, field
from typing import Any

from app.studio.page_request import PageRequest
from app.studio.pages.users.user_columns import shows_field
from app.studio.rights import Rights

MAX_ANCESTORS = 20
MAX_POLICIES = 500
FLAGS = ("admin_access", "app_access", "enforce_tfa", "ip_access")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a policy comes from: `user`, `role`, `parent` (an ancestor of the role) or `public`.

    `role` is the role, None for the others; `access` is the key of the row that assigns it, and `expires` its end.
    """

    kind: str
    access: str
    role: dict[str, Any] | None = None
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """A policy with its sources, those closest to the user first."""

    policy: dict[str, Any]
    sources: list[Source] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PolicyOverview:
    """The policies of a user, and those that the caller may assign; `may_remove` says whether own ones can go.

    `is_complete` is whether the caller may see all policies that the user has.
    """

    effective: list[EffectivePolicy]
    assignable: list[tuple[str, str]]
    may_remove: bool
    is_complete: bool


async def read_policies(request: PageRequest, rights: Rights, user: dict[str, Any]) -> PolicyOverview | None:
    """Return the policies of a user as far as the caller may see them; None if the caller may see no assignments.

    Those for everybody count only for users without a role.
    """
    if not rights.may_fields("read", "access", ["id", "policy", "role", "user"]):
        return None
    if not rights.may_fields("read", "policies", ["id", "name"]):
        return None
    roles = await _role_chain(request, rights, user.get("role"))
    rows = await _assignments(request, rights, user["key"], [role["id"] for role in roles])
    policies = {row["policy"]["id"]: EffectivePolicy(row["policy"]) for row in rows if row["policy"]}
    for row in rows:
        source = _source(row, roles)
        if row["policy"] and source is not None:
            policies[row["policy"]["id"]].sources.append(source)
    order = [None, *(role["id"] for role in roles)]
    effective = [entry for entry in policies.values() if entry.sources]
    for entry in effective:
        entry.sources.sort(key=lambda source: order.index(source.role["id"] if source.role else None))
    assignable = await _assignable(request, rights, effective)
    is_complete = (
        shows_field(rights, "role", user["key"])
        and rights.shows_all_rows("access", ["policy", "role", "user"])
        and rights.shows_all_rows("policies", ["id"])
        and rights.shows_all_rows("roles", ["id", "parent"])
    )
    return PolicyOverview(effective, assignable, rights.may("delete", "access"), is_complete)


def _source(row: dict[str, Any], roles: list[dict[str, Any]]) -> Source | None:
    end = row.get("expires")
    if row["user"]:
        return Source("user", row["id"], expires=end)
    if not row["role"]:
        return None if roles else Source("public", row["id"], expires=end)
    index = next((index for index, role in enumerate(roles) if role["id"] == row["role"]["id"]), None)
    return None if index is None else Source("parent" if index else "role", row["id"], roles[index], end)


async def _role_chain(request: PageRequest, rights: Rights, role: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the role of a user and its ancestors, as far as the caller may see them."""
    chain: list[dict[str, Any]] = []
    parent = "parent { id }" if rights.may_field("read", "roles", "parent") else ""
    key = role["id"] if role else None
    while key and len(chain) < MAX_ANCESTORS and key not in [each["id"] for each in chain]:
        document = f"query Role($id: ID!) {{ roles_by_id(id: $id) {{ id name {parent} }} }}"
        found = (await request.execute(document, {"id": key}))["roles_by_id"]
        if not found:
            break
        chain.append(found)
        key = (found.get("parent") or {}).get("id")
    return chain


async def _assignments(request: PageRequest, rights: Rights, user: str, roles: list[str]) -> list[dict[str, Any]]:
    flags, end = (
        " ".join(rights.fields("read", "policies", FLAGS)),
        " ".join(rights.fields("read", "access", ["expires"])),
    )
    document = f"""query Assignments($user: ID!, $roles: [ID]) {{
  access(
    filter: {{ _or: [
      {{ user: {{ id: {{ _eq: $user }} }} }}
      {{ role: {{ id: {{ _in: $roles }} }} }}
      {{ _and: [{{ user: {{ id: {{ _null: true }} }} }}, {{ role: {{ id: {{ _null: true }} }} }}] }}
    ] }}
    sort: ["policy.name", "id"]
    limit: {MAX_POLICIES}
  ) {{ id {end} user {{ id }} role {{ id }} policy {{ id name {flags} }} }}
}}"""
    # an empty list would match nothing, but the API does not accept one
    variables = {"user": user, "roles": roles or ["00000000-0000-0000-0000-000000000000"]}
    rows: list[dict[str, Any]] = (await request.execute(document, variables))["access"]
    return rows


async def _assignable(request: PageRequest, rights: Rights, effective: list[EffectivePolicy]) -> list[tuple[str, str]]:
    """Return the policies that the caller may assign to the user itself."""
    if not rights.may_fields("create", "access", ["user", "policy"]):
        return []
    document = f'query Policies {{ policies(sort: ["name", "id"], limit: {MAX_POLICIES}) {{ id name }} }}'
    policies = (await request.execute(document))["policies"]
    own = {entry.policy["id"] for entry in effective if any(source.kind == "user" for source in entry.sources)}
    return [(policy["id"], policy["name"]) for policy in policies if policy["id"] not in own]
