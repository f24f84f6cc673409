"""Actions on several users at once: status, role, sessions, and deletion."""

from typing import Any

from starlette.datastructures import QueryParams

from app.core.errors import InvalidPayload, RollcallError
from app.http.response import Response
from app.studio.page_request import Form, PageRequest, redirect_to
from app.studio.pages.users.user_deletion import (
    delete_reassigned,
    delete_with_files_released,
    deletion_errors,
    read_consequences,
    read_references,
    reference_actions,
)
from app.studio.pages.users.user_filters import NO_ROLE
from app.studio.pages.users.user_list import SelectedUsers, users_page
from app.studio.pages.users.user_list_state import PAGE_SIZES
from app.studio.pages.users.user_writes import update_users
from app.studio.routing import Route

MAX_SELECTED = PAGE_SIZES[-1]


async def change_users(request: PageRequest) -> Response:
    """Do what the pressed button says with the selected users, and lead back to the list.

    Either all of them are changed or none: if one may not be changed, the list says so and keeps the selection.
    """
    form = await request.form()
    ids, state = form.getlist("ids"), QueryParams(form.get("state", ""))
    if not 0 < len(ids) <= MAX_SELECTED:
        _ = request.translate
        message = _("Select fewer users.") if ids else _("Select at least one user.")
        return await users_page(request, state, SelectedUsers(frozenset(ids), {"": message}, 400))
    try:
        if form.get("action") == "delete" and "confirmed" not in form:
            return await _confirm_page(request, ids, str(state))
        notice = await _run(request, form, ids)
    except RollcallError as error:
        errors = deletion_errors(request, error)
        return await users_page(request, state, SelectedUsers(frozenset(ids), errors, error.status))
    parameters = {name: state.getlist(name) for name in state}
    return redirect_to(request.addresses.page("/users", {**parameters, "notice": notice, "count": len(ids)}))


async def _run(request: PageRequest, form: Form, ids: list[str]) -> str:
    """Run the action of a form; return the name of the notice.

    Raises:
        RollcallError: It is not allowed, or there is no such action.
    """
    match form.get("action"):
        case "status":
            status = _chosen(request, form, "status")
            await update_users(request, ids, {"status": status})
            return f"users-{status}"
        case "role":
            role = _chosen(request, form, "role")
            await update_users(request, ids, {"role": None if role == NO_ROLE else {"id": role}})
        case "sessions":
            await _end_sessions(request, ids)
            return "sessions-ended"
        case "delete":
            if target := form.get("reassign_to", "").strip():
                await delete_reassigned(request, ids, target)
            else:
                await delete_with_files_released(request, ids)
            return "users-deleted"
        case _:
            raise InvalidPayload(request.translate("Choose an action"))
    return "users-updated"


def _chosen(request: PageRequest, form: Form, name: str) -> str:
    """Return what was chosen in a select.

    Raises:
        InvalidPayload: Nothing was.
    """
    value = form.get(name, "")
    if not value:
        _ = request.translate
        raise InvalidPayload(_("Choose a status.") if name == "status" else _("Choose a role."))
    return value


async def _end_sessions(request: PageRequest, ids: list[str]) -> None:
    variables = {f"user{index}": id_ for index, id_ in enumerate(ids)}
    names = ", ".join(f"${name}: ID!" for name in variables)
    fields = " ".join(f"{name}: users_sessions_revoke(user: ${name})" for name in variables)
    await request.execute(f"mutation EndSessions({names}) {{ {fields} }}", variables)


async def _confirm_page(request: PageRequest, ids: list[str], state: str) -> Response:
    """Return the page that asks before users are deleted; it names those that the caller can see."""
    rights = await request.rights()
    fields = rights.fields("read", "users", ["id", "first_name", "last_name", "email"])
    document = f"""query Selected($ids: [ID], $limit: Int) {{
  users(filter: {{ id: {{ _in: $ids }} }}, sort: ["id"], limit: $limit) {{ {" ".join(fields)} }}
}}"""
    users: list[dict[str, Any]] = (await request.execute(document, {"ids": ids, "limit": len(ids)}))["users"]
    keys = [user["id"] for user in users]
    context: dict[str, Any] = {"ids": keys, "state": state, "own": request.user in ids, "target": ""}
    references = await read_references(request, rights, keys)
    context |= {"references": references, "actions": reference_actions(request.translate)}
    consequences = await read_consequences(request, rights, keys)
    return await request.page("users/delete_many.html", users=users, consequences=consequences, **context)


ROUTES: tuple[Route, ...] = (Route("POST", "/users/bulk", change_users),)
