"""Actions on several users at once: status, role, sessions, and deletion."""

from collections.abc import Sequence
from typing import Any

from starlette.datastructures import QueryParams

from app.core.errors import InvalidPayload, RollcallError
from app.http.response import Response
from app.studio.page_request import Form, PageRequest, redirect_to
from app.studio.pages.tools.row_reference import RowNotFound
from app.studio.pages.users.user_bulk_confirmation import confirmation_page
from app.studio.pages.users.user_deletion import (
    delete_reassigned,
    delete_with_files_released,
    deletion_errors,
)
from app.studio.pages.users.user_filters import NO_ROLE
from app.studio.pages.users.user_list import SelectedUsers, users_page
from app.studio.pages.users.user_roles import role_key
from app.studio.pages.users.user_selection import read_selection
from app.studio.pages.users.user_writes import update_users
from app.studio.routing import Route

SESSIONS_BATCH = 100
"""Users whose sessions one document ends."""


async def change_users(request: PageRequest) -> Response:
    """Do what the pressed button says with the selected users, and lead back to the list.

    Either all of them are changed or none: if one may not be changed, the list says so and keeps the selection.
    """
    form = await request.form()
    state = QueryParams(form.get("state", ""))
    try:
        selection, values = await read_selection(request, form, state), await _values(request, form)
        if not selection.is_confirmed(form):
            return await confirmation_page(request, form, selection)
        notice = await _run(request, form, selection.ids, values)
    except RollcallError as error:
        selected = SelectedUsers(frozenset(form.getlist("ids")), deletion_errors(request, error), error.status)
        return await users_page(request, state, selected)
    parameters = {name: state.getlist(name) for name in state}
    return redirect_to(request.addresses.page("/users", {**parameters, "notice": notice, "count": len(selection.ids)}))


async def _values(request: PageRequest, form: Form) -> dict[str, Any]:
    """Return the values that the action of a form gives to each user.

    Raises:
        InvalidPayload: Nothing was chosen, or there is no such action.
    """
    _ = request.translate
    match form.get("action"):
        case "status" if status := form.get("status"):
            return {"status": status}
        case "status":
            raise InvalidPayload(_("Choose a status."))
        case "role" if role := form.get("role"):
            try:
                key = await role_key(request, role.strip())
            except RowNotFound as error:
                raise InvalidPayload(str(error), field="role") from None
            return {"role": None if key == NO_ROLE else {"id": key}}
        case "role":
            raise InvalidPayload(_("Choose a role."))
        case "sessions" | "delete":
            return {}
        case _:
            raise InvalidPayload(_("Choose an action"))


async def _run(request: PageRequest, form: Form, ids: Sequence[str], values: dict[str, Any]) -> str:
    """Run the action of a form; return the name of the notice.

    Raises:
        RollcallError: It is not allowed.
    """
    match form.get("action"):
        case "sessions":
            for start in range(0, len(ids), SESSIONS_BATCH):
                await _end_sessions(request, ids[start : start + SESSIONS_BATCH])
            return "sessions-ended"
        case "delete":
            if target := form.get("reassign_to", "").strip():
                await delete_reassigned(request, ids, target)
            else:
                await delete_with_files_released(request, ids)
            return "users-deleted"
    await update_users(request, ids, values)
    return f"users-{values['status']}" if "status" in values else "users-updated"


async def _end_sessions(request: PageRequest, ids: Sequence[str]) -> None:
    variables = {f"user{index}": id_ for index, id_ in enumerate(ids)}
    names = ", ".join(f"${name}: ID!" for name in variables)
    fields = " ".join(f"{name}: users_sessions_revoke(user: ${name})" for name in variables)
    await request.execute(f"mutation EndSessions({names}) {{ {fields} }}", variables)


ROUTES: tuple[Route, ...] = (Route("POST", "/users/bulk", change_users),)
