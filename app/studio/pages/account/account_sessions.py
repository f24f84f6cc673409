"""The devices on which the user is signed in."""

from typing import Any

from app.flows.session_list import SessionListService
from app.http.response import Response
from app.studio.devices import describe_device
from app.studio.page_request import PageRequest
from app.studio.routing import Route


async def list_sessions(request: PageRequest) -> Response:
    """Return the list of the user's sessions, the current one first."""
    sessions: list[dict[str, Any]] = [
        {**session.as_dict(), "device": describe_device(session.user_agent)}
        for session in await SessionListService(request.directory).all()
    ]
    sessions.sort(key=lambda session: not session["current"])
    return await request.page("account/sessions.html", sessions=sessions)


async def end_session(request: PageRequest) -> Response:
    """End one session."""
    await request.form()
    await SessionListService(request.directory).revoke(request.parameters["session"])
    return request.redirect("/account/sessions", notice="session-revoked")


async def end_other_sessions(request: PageRequest) -> Response:
    """End all sessions except the current one."""
    await request.form()
    await SessionListService(request.directory).revoke()
    return request.redirect("/account/sessions", notice="sessions-revoked")


ROUTES: tuple[Route, ...] = (
    Route("GET", "/account/sessions", list_sessions),
    Route("POST", "/account/sessions/end-others", end_other_sessions),
    Route("POST", "/account/sessions/{session}/end", end_session),
)
