"""The mutations of users that pages execute."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.studio.page_request import PageRequest
from app.studio.rights import Rights

Values = Mapping[str, Any]


async def create_user(request: PageRequest, values: Values) -> str | None:
    """Create a user and return its id; None if the caller may not see it.

    Raises:
        RollcallError: The values are rejected.
    """
    selection = _selection(await request.rights())
    document = f"""mutation CreateUser($data: create_directus_users_input!) {{
  create_users_item(data: $data) {selection}
}}"""
    created = (await request.execute(document, {"data": dict(values)}))["create_users_item"]
    return created.get("id") if isinstance(created, dict) else None


async def update_user(request: PageRequest, user: str, values: Values) -> None:
    """Update a user.

    Raises:
        RollcallError: The values are rejected.
    """
    selection = _selection(await request.rights())
    document = f"""mutation UpdateUser($id: ID!, $data: update_directus_users_input!) {{
  update_users_item(id: $id, data: $data) {selection}
}}"""
    await request.execute(document, {"id": user, "data": dict(values)})


async def update_own_user(request: PageRequest, values: Values) -> None:
    """Update the signed-in user.

    Raises:
        RollcallError: The values are rejected.
    """
    selection = _selection(await request.rights())
    document = f"""mutation UpdateMe($data: update_directus_users_input!) {{
  update_users_me(data: $data) {selection}
}}"""
    await request.execute(document, {"data": dict(values)})


async def update_users(request: PageRequest, users: Sequence[str], values: Values) -> None:
    """Update several users with the same values, all or none.

    Raises:
        RollcallError: The values are rejected for at least one of them.
    """
    selection = _selection(await request.rights())
    document = f"""mutation UpdateUsers($ids: [ID]!, $data: update_directus_users_input!, $limit: Int) {{
  update_users_items(ids: $ids, data: $data, limit: $limit) {selection}
}}"""
    await request.execute(document, {"ids": list(users), "data": dict(values), "limit": len(users)})


async def delete_users(request: PageRequest, users: Sequence[str]) -> None:
    """Delete users, all or none.

    Raises:
        RollcallError: At least one of them may not be deleted.
    """
    document = "mutation DeleteUsers($ids: [ID]!) { delete_users_items(ids: $ids) { ids } }"
    await request.execute(document, {"ids": list(users)})


def _selection(rights: Rights) -> str:
    """Return what a mutation selects of the written row; nothing if the caller may read no user, as in Directus."""
    if not rights.may("read", "users"):
        return ""
    return "{ id }" if rights.may_field("read", "users", "id") else "{ __typename }"
