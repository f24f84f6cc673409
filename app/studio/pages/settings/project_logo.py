"""The logo of the project: everybody may see it, also visitors who may read no file, and mail programs."""

from app.core.errors import RollcallError, RouteNotFound
from app.flows.assets import AssetService
from app.http.endpoints.assets import SANDBOX_CSP
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.image_upload import receive_image
from app.studio.page_request import PageRequest
from app.studio.pages.settings.project_settings_form import LOGO
from app.studio.pages.settings.project_settings_page import settings_page, update_settings
from app.studio.routing import Route

LOGO_MAX_AGE = 24 * 3600
"""Seconds for which caches may store it; another logo has another address."""


async def show_logo(request: PageRequest) -> Response:
    """Return the content of the file that is the project's logo at the moment, and of no other one.

    Raises:
        RouteNotFound: The file is not the logo, or is not an image.
    """
    key = request.parameters["file"]
    asset = await AssetService(request.services).find(key) if key == request.project.logo else None
    if asset is None or not asset.type.startswith("image/"):
        raise RouteNotFound(request.path)
    return Response(
        b"",
        media=asset.type.encode("ascii", "ignore"),
        headers=[(b"content-length", b"%d" % asset.size)],
        stream=asset.iter_chunks(0, asset.size),
        max_age=LOGO_MAX_AGE,
        same_for_everyone=True,
        policy=SANDBOX_CSP,
    )


async def upload_logo(request: PageRequest) -> Response:
    """Store an uploaded image and make it the logo."""
    try:
        await update_settings(request, {LOGO: {"id": await receive_image(request)}})
    except RollcallError as error:
        return await settings_page(request, errors=_at_logo(request, error), status=error.status)
    return request.redirect("/settings", notice="logo-saved")


async def remove_logo(request: PageRequest) -> Response:
    """Let the project have no logo; its file remains."""
    await request.form()
    try:
        await update_settings(request, {LOGO: None})
    except RollcallError as error:
        return await settings_page(request, errors=_at_logo(request, error), status=error.status)
    return request.redirect("/settings", notice="logo-removed")


def _at_logo(request: PageRequest, error: RollcallError) -> FormErrors:
    messages = form_errors(error, request.translate)
    return {LOGO: next(iter(messages.values()))}


ROUTES: tuple[Route, ...] = (
    Route("GET", "/logo/{file}", show_logo, visitors=True),
    Route("POST", "/settings/logo", upload_logo),
    Route("POST", "/settings/logo/remove", remove_logo),
)
