"""The role that a select or a text field of a page names."""

from starlette.datastructures import QueryParams

from app.core.errors import RollcallError
from app.studio.page_request import PageRequest
from app.studio.pages.tools.row_reference import RowNotFound, find_row
from app.studio.pages.users.user_filters import NO_ROLE
from app.studio.role_choice import Roles, are_too_many


async def role_key(request: PageRequest, text: str) -> str:
    """Return the id of the role that a select or a text field names, or `NO_ROLE`.

    Raises:
        RowNotFound: The text names no role, or several.
    """
    if text in ("", NO_ROLE):
        return text
    return NO_ROLE if text == request.translate("No role") else await find_row(request, "roles", text)


async def role_text(request: PageRequest, roles: Roles, key: str) -> str:
    """Return the text for a role, which may be none of the `roles`; its id if the caller may not see it."""
    if key == NO_ROLE:
        return request.translate("No role")
    names = dict(roles)
    if not key or key in names or not are_too_many(roles):
        return names.get(key, key)
    try:
        data = await request.execute("query RoleName($id: ID!) { roles_by_id(id: $id) { name } }", {"id": key})
    except RollcallError:
        return key
    return (data["roles_by_id"] or {}).get("name") or key


async def with_role_key(request: PageRequest, query: QueryParams) -> QueryParams:
    """Return the query string of a list with the id of the role that it names; unchanged if there is none."""
    text = query.get("role", "").strip()
    try:
        key = await role_key(request, text)
    except RowNotFound:
        return query
    if key == text:
        return query
    return QueryParams([(name, key if name == "role" else value) for name, value in query.multi_items()])
