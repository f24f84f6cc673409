"""The picture of a user."""

from contextlib import suppress

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import form_errors
from app.studio.image_upload import PHOTO_TYPES, receive_image
from app.studio.page_request import PageRequest
from app.studio.pages.users.user_detail import user_page
from app.studio.pages.users.user_writes import update_user
from app.studio.routing import Route

PICTURE = "picture"
"""The control of the file, at which its errors are shown."""


async def upload_avatar(request: PageRequest) -> Response:
    """Store an uploaded picture and show it as that of the user; the previous one stays among the files."""
    user = request.parameters["user"]
    try:
        await receive_avatar(request, user)
    except RollcallError as error:
        message = "; ".join(form_errors(error, request.translate).values())
        return await user_page(request, {PICTURE: message}, error.status)
    return request.redirect(f"/users/{user}", notice="picture-saved")


async def receive_avatar(request: PageRequest, user: str) -> None:
    """Store the picture of a submitted form and make it that of a user.

    Raises:
        RollcallError: The picture is rejected, or the caller may not change it.
    """
    await require_writable_avatar(request, user)
    await _use(request, user, await receive_image(request, PHOTO_TYPES))


async def require_writable_avatar(request: PageRequest, user: str) -> None:
    """Check that the caller may change the picture, before a file is stored for it.

    Raises:
        Forbidden: The caller may not.
    """
    rights = await request.rights()
    if not rights.may_field("update", "users", "avatar") or not await request.directory["users"].may("update", user):
        raise Forbidden


async def _use(request: PageRequest, user: str, file: str) -> None:
    """Make a file the picture of a user, or delete it again.

    Raises:
        RollcallError: The user cannot be changed.
    """
    try:
        await update_user(request, user, {"avatar": {"id": file}})
    except RollcallError:
        with suppress(RollcallError):  # a caller who may create files may not always delete them
            await request.directory["files"].delete_one(file)
        raise


ROUTES: tuple[Route, ...] = (Route("POST", "/users/{user}/avatar", upload_avatar),)
