"""The start page."""

from app.http.response import Response
from app.studio.page_request import PageRequest
from app.studio.routing import Route


async def show_overview(request: PageRequest) -> Response:
    """Return the start page."""
    return await request.page("overview.html")


ROUTES: tuple[Route, ...] = (Route("GET", "", show_overview),)
