"""The roles that pages about users offer: a select, or a text field for their names if there are very many."""

from collections.abc import Sequence

from starlette.datastructures import QueryParams

from app.core.errors import RollcallError
from app.studio.page_request import PageRequest
from app.studio.pages.tools.row_reference import RowNotFound, find_row
from app.studio.pages.users.user_filters import NO_ROLE
from app.studio.rights import Rights

MAX_ROLES = 500
"""Roles in a select; with more of them, names are entered."""

Roles = Sequence[tuple[str, str]]
"""Ids and names."""


async def readable_roles(request: PageRequest, rights: Rights) -> Roles:
    """Return the roles that the caller may see, at most one more than `MAX_ROLES`."""
    if len(rights.fields("read", "roles", ["id", "name"])) < 2:
        return []
    document = 'query Roles($limit: Int) { roles(sort: ["name", "id"], limit: $limit) { id name } }'
    try:
        data = await request.execute(document, {"limit": MAX_ROLES + 1})
    except RollcallError:  # every permission to read roles has a rule that is no filter
        return []
    return [(role["id"], role["name"] or role["id"]) for role in data["roles"] if role["id"]]


def are_too_many(roles: Roles) -> bool:
    """Return whether there are more roles than a select should have."""
    return len(roles) > MAX_ROLES


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
