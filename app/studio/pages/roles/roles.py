"""The tree of roles, and all pages of a role."""

from app.http.response import Response
from app.studio.page_request import PageRequest
from app.studio.pages.roles import role_attachments, role_form, role_invitations, role_users
from app.studio.pages.roles.role_hierarchy import read_hierarchy
from app.studio.pages.roles.role_members import USERS_IN_ROLE, read_members
from app.studio.pages.roles.role_page import role_page
from app.studio.pages.roles.role_rights import role_rights
from app.studio.routing import Route


async def list_roles(request: PageRequest) -> Response:
    """Return the tree of the roles that the caller can see."""
    return await request.page("roles/list.html", hierarchy=await read_hierarchy(request, with_counts=True))


async def show_role(request: PageRequest) -> Response:
    """Return the page of a role, or only its users to a script that searches them."""
    key = request.parameters["role"]
    may = await role_rights(request, key)
    if request.fragment != USERS_IN_ROLE or not may.see_users:
        return await role_page(request)
    members = await read_members(request, key)
    return await request.page("roles/users_in_role.html", role={"id": key}, may=may, members=members)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/roles", list_roles),
    *role_form.ROUTES,
    *role_users.ROUTES,
    *role_invitations.ROUTES,
    *role_attachments.ROUTES,
    Route("GET", "/roles/{role}", show_role),
)
