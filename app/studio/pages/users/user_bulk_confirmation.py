"""The page that asks before users are deleted, or all that match a list are changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.http.response import Response
from app.studio.page_request import Form, PageRequest
from app.studio.pages.users.user_deletion import read_consequences, read_references, reference_actions
from app.studio.pages.users.user_fields import status_labels
from app.studio.pages.users.user_roles import role_key, role_text
from app.studio.pages.users.user_selection import CONFIRMED, BulkSelection
from app.studio.rights import Rights
from app.studio.role_choice import readable_roles

SHOWN = 10
"""How many of all matching users the page names."""


async def confirmation_page(request: PageRequest, form: Form, selection: BulkSelection) -> Response:
    """Return the page that asks about the action of a form; it names the users that the caller can see."""
    rights, action, matching = await request.rights(), form.get("action"), selection.matching
    users = await _read_users(request, rights, selection)
    is_outdated = CONFIRMED in form
    context: dict[str, Any] = {
        "users": users,
        "count": len(selection.ids if matching else users),
        "is_matching": matching is not None,
        "is_filtered": matching is not None and matching.is_filtered,
        "confirmed": selection.fingerprint,
        "state": form.get("state", ""),
        "own": request.user in selection.ids,
        "action": action,
        "errors": {"": request.translate("Other users match now. Check them again.")} if is_outdated else {},
        "status": 409 if is_outdated else 200,
    }
    if action == "delete":
        keys = selection.ids if matching else [user["id"] for user in users]
        context |= {"ids": [] if matching else keys, **await _deletion(request, rights, form, keys)}
        return await request.page("users/delete_many.html", **context)
    context |= await _change(request, form)
    return await request.page("users/change_many.html", **context)


async def _deletion(request: PageRequest, rights: Rights, form: Form, keys: Sequence[str]) -> Mapping[str, Any]:
    """Return what the page of a deletion says of it."""
    return {
        "target": form.get("reassign_to", ""),
        "references": await read_references(request, rights, keys),
        "actions": reference_actions(request.translate),
        "consequences": await read_consequences(request, rights, keys),
    }


async def _change(request: PageRequest, form: Form) -> Mapping[str, Any]:
    """Return what was chosen for all users: the status or the role, and its label."""
    status, role = form.get("status", ""), form.get("role", "")
    if form.get("action") == "status":
        label = status_labels(request.translate).get(status, status)
    else:
        roles = await readable_roles(request, await request.rights())
        label = await role_text(request, roles, await role_key(request, role))
    return {"chosen": {"status": status, "role": role}, "chosen_label": label}


async def _read_users(request: PageRequest, rights: Rights, selection: BulkSelection) -> list[dict[str, Any]]:
    """Return the users of a selection that the caller can see, only some of all matching ones."""
    fields = rights.fields("read", "users", ["id", "first_name", "last_name", "email"])
    document = f"""query Selected($ids: [ID], $limit: Int) {{
  users(filter: {{ id: {{ _in: $ids }} }}, sort: ["id"], limit: $limit) {{ {" ".join(fields)} }}
}}"""
    ids = selection.ids[:SHOWN] if selection.matching else selection.ids
    users: list[dict[str, Any]] = (await request.execute(document, {"ids": list(ids), "limit": len(ids)}))["users"]
    return users
