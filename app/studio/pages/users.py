"""The list of users."""

from app.http.response import Response
from app.studio.page_request import PageRequest
from app.studio.routing import Route

COLUMNS = ("first_name", "last_name", "email", "status", "last_access")
PAGE_SIZE = 25


async def list_users(request: PageRequest) -> Response:
    """Return a page of the users that the caller may see."""
    rights = await request.rights()
    fields = ["id", *rights.fields("read", "users", COLUMNS)]
    role = "role { id name }" if rights.may_field("read", "users", "role") and rights.may("read", "roles") else ""
    document = f"""query Users($search: String) {{
  users(search: $search, sort: ["last_name", "id"], limit: {PAGE_SIZE}) {{ {" ".join(fields)} {role} }}
}}"""
    data = await request.execute(document, {"search": request.query.get("search") or None})
    return await request.page("users/list.html", users=data["users"], search=request.query.get("search", ""))


async def show_user(request: PageRequest) -> Response:
    """Return the page of a user."""
    rights = await request.rights()
    fields = ["id", *rights.fields("read", "users", COLUMNS)]
    document = f"query User($id: ID!) {{ users_by_id(id: $id) {{ {' '.join(fields)} }} }}"
    data = await request.execute(document, {"id": request.parameters["user"]})
    return await request.page("users/detail.html", user=data["users_by_id"])


ROUTES: tuple[Route, ...] = (Route("GET", "/users", list_users), Route("GET", "/users/{user}", show_user))
