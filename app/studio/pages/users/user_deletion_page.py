"""The page that asks before a user is deleted: what refers to the user, and to whom that may move."""

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import FormErrors
from app.studio.page_request import PageRequest
from app.studio.pages.users.user_deletion import (
    delete_reassigned,
    delete_with_files_released,
    deletion_errors,
    read_consequences,
    read_references,
    reference_actions,
)
from app.studio.pages.users.user_detail import read_user
from app.studio.routing import Route


async def show_deletion(request: PageRequest) -> Response:
    """Return the page that asks whether to delete the user in the path.

    Raises:
        Forbidden: The user does not exist, or the caller may not delete it.
    """
    return await _deletion_page(request)


async def delete_user(request: PageRequest) -> Response:
    """Delete the user and lead to the list; what refers to the user moves to another one if the form names it."""
    form, user = await request.form(), request.parameters["user"]
    target = form.get("reassign_to", "").strip()
    try:
        if target:
            await delete_reassigned(request, [user], target)
        else:
            await delete_with_files_released(request, [user])
    except RollcallError as error:
        return await _deletion_page(request, deletion_errors(request, error), error.status, target)
    return request.redirect("/users", notice="user-deleted")


async def _deletion_page(
    request: PageRequest, errors: FormErrors | None = None, status: int = 200, target: str = ""
) -> Response:
    rights, key = await request.rights(), request.parameters["user"]
    user = await read_user(request, rights, key)
    if not await request.directory["users"].may("delete", key):
        raise Forbidden
    references = None
    try:
        references = await read_references(request, rights, [key])
    except RollcallError as error:
        errors = errors or deletion_errors(request, error)
    return await request.page(
        "users/delete.html",
        status=status,
        errors=errors,
        user=user,
        own=key.lower() == request.user,
        references=references,
        actions=reference_actions(request.translate),
        consequences=await read_consequences(request, rights, [key]),
        target=target,
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/users/{user}/delete", show_deletion),
    Route("POST", "/users/{user}/delete", delete_user),
)
