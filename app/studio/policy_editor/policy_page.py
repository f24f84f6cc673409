"""The page of a policy: what it is, what it allows, and who holds it."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import Forbidden
from app.http.response import Response
from app.studio.form_errors import FormErrors
from app.studio.page_numbers import page_number
from app.studio.page_request import PageRequest
from app.studio.policy_editor.change_effects import ChangeEffects
from app.studio.policy_editor.permission_grid import COLUMNS, Grid, build_grid
from app.studio.policy_editor.policy_form import EDITED
from app.studio.policy_editor.visible_registry import visible_registry
from app.studio.rights import Rights
from app.studio.role_choice import are_too_many, readable_roles

HOLDERS_PER_PAGE = 25
MAX_ROLES = 200
"""Roles that the page lists as holders."""
USER_NAMES = ("first_name", "last_name", "email")


async def read_policy(request: PageRequest, key: str) -> dict[str, Any]:
    """Return a policy; fields that the caller may not read are None.

    Raises:
        Forbidden: It does not exist, or the caller may not read it.
    """
    rights = await request.rights()
    if not rights.may_field("read", "policies", "id"):
        raise Forbidden
    fields = ["id", *rights.fields("read", "policies", EDITED)]
    document = f"query Policy($id: ID!) {{\n  policies_by_id(id: $id) {{ {' '.join(fields)} }}\n}}"
    row: dict[str, Any] | None = (await request.execute(document, {"id": key}))["policies_by_id"]
    if row is None:
        raise Forbidden
    return with_all_fields(row)


def with_all_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy with None for the fields that the caller may not read."""
    return {**dict.fromkeys(EDITED), **row}


async def read_permissions(request: PageRequest, key: str) -> list[dict[str, Any]] | None:
    """Return the permissions of a policy; None if the caller may not read all that the grid needs."""
    if not (await request.rights()).may_fields("read", "permissions", ["id", *COLUMNS]):
        return None
    document = """query Permissions($policy: ID!) {
  permissions(filter: { policy: { id: { _eq: $policy } } }, sort: ["id"], limit: -1) {
    id collection action fields permissions validation presets
  }
}"""
    rows: list[dict[str, Any]] = (await request.execute(document, {"policy": key}))["permissions"]
    return rows


async def read_grid(request: PageRequest, key: str) -> Grid | None:
    """Return the grid of a policy; None if the caller may not read its permissions."""
    permissions = await read_permissions(request, key)
    rights = await request.rights()
    registry = visible_registry(request.services.registry, rights)
    return None if permissions is None else build_grid(registry, permissions, rights)


async def policy_page(
    request: PageRequest,
    key: str,
    *,
    errors: FormErrors | None = None,
    status: int = 200,
    values: Mapping[str, Any] | None = None,
    chosen: Mapping[str, str] | None = None,
    email: str = "",
    role: str = "",
    effects: ChangeEffects | None = None,
) -> Response:
    """Return the page of a policy; `values`, `chosen`, `email` and `role` are those of a form that was not saved.

    `effects` are those that saving it would have.
    """
    rights = await request.rights()
    policy = await read_policy(request, key)
    may_update = rights.may("update", "policies") and await request.directory["policies"].may("update", key)
    variables = {
        "policy": policy,
        "values": values or policy,
        "is_unsaved": values is not None or chosen is not None,
        "writable": rights.fields("update", "policies", EDITED) if may_update else [],
        "may_delete": rights.may("delete", "policies") and await request.directory["policies"].may("delete", key),
        "grid": await read_grid(request, key),
        "chosen": chosen,
        "holders": await _read_holders(request, rights, key),
        "email": email,
        "role": role,
        "effects": effects,
    }
    return await request.page("policies/policy.html", status=status, errors=errors, **variables)


async def _read_holders(request: PageRequest, rights: Rights, key: str) -> dict[str, Any] | None:
    """Return the access rows of a policy: those of roles, of a page of the users, and of everyone, with counts."""
    if not rights.may_fields("read", "access", ["id", "policy", "role", "user"]):
        return None
    page = page_number(request.query.get("page"))
    data = await request.execute(_holders_document(rights), {"policy": key, "page": page})
    count = data["counts"][0]["count"] if data["counts"] else {"role": 0, "user": 0}
    pages = -(-int(count["user"]) // HOLDERS_PER_PAGE)
    roles = await readable_roles(request, rights) if rights.may("create", "access") else []
    taken = {row["role"]["id"] for row in data["roles"] if row.get("role")}
    return {
        **data,
        "role_count": int(count["role"]),
        "user_count": int(count["user"]),
        "page": page,
        "pages": pages,
        "free_roles": [role for role in roles if role[0] not in taken],
        "has_too_many_roles": are_too_many(roles),
    }


def _holders_document(rights: Rights) -> str:
    may_name_roles = rights.may_fields("read", "roles", ["id", "name"])
    names = " ".join(["id", *rights.fields("read", "users", USER_NAMES)])
    role = f"role {{ id{' name' if may_name_roles else ''} }}" if rights.may_field("read", "roles", "id") else ""
    user = f"user {{ {names} }}" if rights.may_field("read", "users", "id") else ""
    of_policy, end = "policy: { id: { _eq: $policy } }", " ".join(rights.fields("read", "access", ["expires"]))
    return f"""query Holders($policy: ID!, $page: Int) {{
  roles: access(filter: {{ {of_policy}, role: {{ id: {{ _nnull: true }} }} }}, limit: {MAX_ROLES}) {{ id {end} {role} }}
  users: access(
    filter: {{ {of_policy}, user: {{ id: {{ _nnull: true }} }} }}, sort: ["id"], limit: {HOLDERS_PER_PAGE}, page: $page
  ) {{ id {end} {user} }}
  everyone: access(
    filter: {{ {of_policy}, role: {{ id: {{ _null: true }} }}, user: {{ id: {{ _null: true }} }} }}, limit: 1
  ) {{ id {end} }}
  counts: access_aggregated(filter: {{ {of_policy} }}) {{ count {{ role user }} }}
}}"""
