"""The roles that pages offer to choose from: a select, or a text field for their names if there are very many."""

from collections.abc import Sequence

from app.core.errors import RollcallError
from app.studio.page_request import PageRequest
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
