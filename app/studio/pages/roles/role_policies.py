"""The policies of a role: its own, and those it inherits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.studio.page_request import PageRequest
from app.studio.pages.roles.role_grants import ActionGrant, grants_by_collection
from app.studio.pages.roles.role_hierarchy import RoleHierarchy, RoleNode, description_text
from app.studio.pages.users.user_fields import rule_words
from app.studio.rights import Rights

POLICY_FIELDS = ("name", "description", "admin_access", "app_access", "enforce_tfa")


@dataclass(frozen=True, slots=True)
class HeldPolicy:
    """A policy that a role holds; `source` is the role from which it inherits it, None for one of its own."""

    access: str
    """The id of the access row that attaches it."""
    id: str
    name: str
    description: str
    flags: frozenset[str]
    """Those of `admin_access`, `app_access` and `enforce_tfa` that are set, as far as the caller can see them."""
    source: RoleNode | None
    grants: dict[str, list[ActionGrant]] | None = None
    """What its permissions allow by collection; None if the caller may not see all of them."""
    expires: str | None = None
    """When the access row expires."""


async def read_policies(request: PageRequest, role: str, hierarchy: RoleHierarchy) -> list[HeldPolicy]:
    """Return the policies of a role that the caller can see: its own first, then those of its nearest ancestors."""
    rights = await request.rights()
    ancestors = hierarchy.ancestors(role)
    sources: dict[str, RoleNode | None] = {role: None, **{node.id: node for node in ancestors}}
    fields = " ".join(["id", *rights.fields("read", "policies", POLICY_FIELDS), *_permission_fields(rights)])
    data = await request.execute(
        "query Policies($roles: [ID!]) {\n"
        '  access(filter: {role: {id: {_in: $roles}}}, sort: ["id"], limit: -1) '
        f"{{ id {' '.join(rights.fields('read', 'access', ['expires']))} role {{ id }} policy {{ {fields} }} }}\n}}",
        {"roles": list(sources)},
    )
    order = list(sources)
    words, registry = rule_words(request.translate), request.services.registry
    held = []
    for row in data["access"]:
        if row["policy"] and row["role"]:
            permissions = row["policy"].get("permissions")
            grants = None if permissions is None else grants_by_collection(registry, permissions, words)
            held.append(_held(row, sources, grants))
    return sorted(held, key=lambda each: (order.index(each.source.id if each.source else role), each.name.casefold()))


async def read_attachable(request: PageRequest, held: Sequence[HeldPolicy]) -> list[tuple[str, str]]:
    """Return the options of a select for a policy to attach: all that the role does not have itself."""
    rights = await request.rights()
    name = rights.fields("read", "policies", ("name",))
    sort = "".join(name) or "id"
    selection = " ".join(["id", *name])
    data = await request.execute(f'query AllPolicies {{\n  policies(sort: ["{sort}"], limit: -1) {{ {selection} }}\n}}')
    own = {policy.id for policy in held if policy.source is None}
    return [(row["id"], row.get("name") or row["id"]) for row in data["policies"] if row["id"] not in own]


def _permission_fields(rights: Rights) -> list[str]:
    is_readable = rights.may_field("read", "policies", "permissions") and all(
        rights.may_field("read", "permissions", name) for name in ("collection", "action")
    )
    fields = " ".join(rights.fields("read", "permissions", ("collection", "action", "permissions", "validation")))
    return [f'permissions(sort: ["id"], limit: -1) {{ {fields} }}'] if is_readable else []


def _held(
    row: dict[str, Any], sources: dict[str, RoleNode | None], grants: dict[str, list[ActionGrant]] | None
) -> HeldPolicy:
    policy = row["policy"]
    flags = frozenset(name for name in ("admin_access", "app_access", "enforce_tfa") if policy.get(name))
    name, description = policy.get("name") or policy["id"], description_text(policy)
    source = sources[row["role"]["id"]]
    return HeldPolicy(row["id"], policy["id"], name, description, flags, source, grants, row.get("expires"))
