"""The start page: what matters in the directory, each part only if the caller may read it."""

from app.http.response import Response
from app.studio.page_request import PageRequest
from app.studio.pages.overview.overview_activity import read_access_events, read_sign_ins
from app.studio.pages.overview.overview_operation import operator_warnings, read_outbox
from app.studio.pages.overview.overview_users import read_invitations, read_users_by_status
from app.studio.routing import Route


async def show_overview(request: PageRequest) -> Response:
    """Return the start page."""
    rights = await request.rights()
    statuses, outbox = await read_users_by_status(request, rights), await read_outbox(request, rights)
    return await request.page(
        "overview.html",
        statuses=statuses,
        sign_ins=await read_sign_ins(request, rights),
        events=await read_access_events(request, rights),
        invitations=await read_invitations(request, rights, statuses),
        outbox=outbox,
        warnings=await operator_warnings(request, rights, outbox),
    )


ROUTES: tuple[Route, ...] = (Route("GET", "", show_overview),)
