"""The page of a role, with its users and policies."""

from collections.abc import Callable
from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.roles.role_hierarchy import RoleNode, description_text, read_hierarchy, role_name
from app.studio.pages.roles.role_members import read_members
from app.studio.pages.roles.role_next_steps import next_steps
from app.studio.pages.roles.role_policies import read_attachable, read_policies
from app.studio.pages.roles.role_rights import ROLE_FIELDS, RoleRights, role_rights
from app.studio.policy_editor.change_effects import ChangeEffects


async def role_page(
    request: PageRequest,
    errors: FormErrors | None = None,
    status: int = 200,
    *,
    effects: ChangeEffects | None = None,
    chosen: str = "",
    chosen_end: str = "",
) -> Response:
    """Return the page of a role; `errors` are those of a rejected action on it.

    `effects` are those of attaching the `chosen` policy until the `chosen_end`, or of detaching one.

    Raises:
        Forbidden: The caller cannot see the role.
    """
    key = request.parameters["role"]
    role = await read_role(request, key)
    hierarchy = await read_hierarchy(request)
    may = await role_rights(request, key)
    policies = await read_policies(request, key, hierarchy) if may.see_policies else []
    members = await read_members(request, key) if may.see_users else None
    return await request.page(
        "roles/detail.html",
        status=status,
        errors=errors,
        role=role,
        name=role_name(role),
        description=description_text(role),
        may=may,
        parent=hierarchy.get((role.get("parent") or {}).get("id")),
        children=_children(hierarchy.get(key)),
        members=members,
        policies=policies,
        steps=next_steps(key, await request.rights(), may, policies, members, request.translate),
        attachable=await read_attachable(request, policies) if may.attach else [],
        effects=effects,
        chosen=chosen,
        chosen_end=chosen_end,
    )


async def rejected_action(request: PageRequest, error: RollcallError) -> Response:
    """Return the page of a role with the reason why an action on it was rejected."""
    messages = "; ".join(dict.fromkeys(form_errors(error, request.translate).values()))
    return await role_page(request, {"": messages}, error.status)


async def authorized_role(
    request: PageRequest, is_allowed: Callable[[RoleRights], bool], key: str | None = None
) -> dict[str, Any]:
    """Return the role with this key, that in the path if there is none.

    Raises:
        Forbidden: The caller cannot see it, or does not have the right.
    """
    role = await read_role(request, key or request.parameters["role"])
    if not is_allowed(await role_rights(request, role["id"])):
        raise Forbidden
    return role


async def read_role(request: PageRequest, key: str) -> dict[str, Any]:
    """Return a role.

    Raises:
        Forbidden: The caller cannot see it.
    """
    rights = await request.rights()
    if not rights.may_field("read", "roles", "id"):
        raise Forbidden
    fields = rights.fields("read", "roles", ROLE_FIELDS)
    selection = " ".join("parent { id }" if field == "parent" else field for field in ["id", *fields])
    data = await request.execute(f"query Role($id: ID!) {{\n  roles_by_id(id: $id) {{ {selection} }}\n}}", {"id": key})
    role: dict[str, Any] = data["roles_by_id"]
    return role


def _children(node: RoleNode | None) -> list[RoleNode]:
    return [] if node is None else node.children
