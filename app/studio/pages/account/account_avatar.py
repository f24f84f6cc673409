"""The picture of the signed-in user."""

from app.core.errors import RollcallError
from app.http.response import Response
from app.studio.form_errors import form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.account.account import profile_page
from app.studio.pages.users.user_avatar import PICTURE, receive_avatar, require_writable_avatar
from app.studio.pages.users.user_writes import update_own_user
from app.studio.routing import Route


async def upload_own_avatar(request: PageRequest) -> Response:
    """Store an uploaded picture and show it as the user's own."""
    try:
        await receive_avatar(request, request.user)
    except RollcallError as error:
        return await _rejected(request, error)
    return request.redirect("/account", notice="picture-saved")


async def remove_own_avatar(request: PageRequest) -> Response:
    """Show no picture of the user; the file remains."""
    await request.form()
    try:
        await require_writable_avatar(request, request.user)
        await update_own_user(request, {"avatar": None})
    except RollcallError as error:
        return await _rejected(request, error)
    return request.redirect("/account", notice="picture-removed")


async def _rejected(request: PageRequest, error: RollcallError) -> Response:
    message = "; ".join(form_errors(error, request.translate).values())
    return await profile_page(request, errors={PICTURE: message}, status=error.status)


ROUTES: tuple[Route, ...] = (
    Route("POST", "/account/avatar", upload_own_avatar),
    Route("POST", "/account/avatar/remove", remove_own_avatar),
)
