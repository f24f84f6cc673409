"""Adding existing users to a role and removing users from it."""

from collections.abc import Sequence
from typing import Any

from app.core.errors import RollcallError
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.roles.role_hierarchy import role_name
from app.studio.pages.roles.role_members import read_candidates, read_users
from app.studio.pages.roles.role_page import authorized_role
from app.studio.routing import Route

SET_ROLE = """mutation SetRole($users: [ID]!, $data: update_directus_users_input!) {
  update_users_items(ids: $users, data: $data) { id }
}"""
SELECTED = "user"
"""The name of the form fields that select users."""
CANDIDATES = "candidates"
"""The id of the part of a page that lists the users who can be added."""


async def show_add(request: PageRequest) -> Response:
    """Return the drawer with the users who can be added to a role; the address holds those who are selected."""
    return await _add_page(request, request.query.getlist(SELECTED))


async def add_users(request: PageRequest) -> Response:
    """Give the selected users this role; each user has one role, so it replaces another one."""
    users = (await request.form()).getlist(SELECTED)
    role = (await authorized_role(request, lambda may: may.assign))["id"]
    if not users:
        return await _add_page(request, users, {"": request.translate("Select at least one user.")}, 422)
    try:
        await _set_role(request, users, {"id": role})
    except RollcallError as error:
        return await _add_page(request, users, form_errors(error, request.translate), error.status)
    return request.redirect(f"/roles/{role}", notice="users-added")


async def show_remove(request: PageRequest) -> Response:
    """Return the drawer that asks whether to remove the selected users from a role."""
    return await _remove_page(request, request.query.getlist(SELECTED))


async def remove_users(request: PageRequest) -> Response:
    """Remove the selected users from a role; they have no role afterwards."""
    users = (await request.form()).getlist(SELECTED)
    role = (await authorized_role(request, lambda may: may.assign))["id"]
    if not users:
        return await _remove_page(request, users, status=422)
    try:
        await _set_role(request, users, None)
    except RollcallError as error:
        return await _remove_page(request, users, form_errors(error, request.translate), error.status)
    return request.redirect(f"/roles/{role}", notice="users-removed")


async def _set_role(request: PageRequest, users: Sequence[str], role: Any) -> None:
    await request.execute(SET_ROLE, {"users": list(dict.fromkeys(users)), "data": {"role": role}})


async def _add_page(
    request: PageRequest, selected: Sequence[str], errors: FormErrors | None = None, status: int = 200
) -> Response:
    role = await authorized_role(request, lambda may: may.assign)
    candidates = await read_candidates(request, role["id"])
    listed = {user.id for user in candidates.users}
    others = await read_users(request, [user for user in selected if user not in listed])
    return await request.page(
        "roles/add_users.html",
        status=status,
        errors=errors,
        role=role,
        name=role_name(role),
        candidates=candidates,
        selected=set(selected),
        others=others,
    )


async def _remove_page(
    request: PageRequest, selected: Sequence[str], errors: FormErrors | None = None, status: int = 200
) -> Response:
    role = await authorized_role(request, lambda may: may.assign)
    users = await read_users(request, selected)
    if not users:
        errors = {"": request.translate("Select at least one user.")}
    context = {"role": role, "name": role_name(role), "users": users}
    return await request.page("roles/remove_users.html", status=status, errors=errors, **context)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/roles/{role}/add", show_add),
    Route("POST", "/roles/{role}/add", add_users),
    Route("GET", "/roles/{role}/remove", show_remove),
    Route("POST", "/roles/{role}/remove", remove_users),
)
