"""The pages that report an error."""

from dataclasses import replace

from app.core.errors import (
    Forbidden,
    MethodNotAllowed,
    RequestsExceeded,
    RollcallError,
    RouteNotFound,
    ServiceUnavailable,
)
from app.http.response import Response, error_headers
from app.studio.form_errors import error_message
from app.studio.page_request import PageRequest


async def error_page(request: PageRequest, error: RollcallError) -> Response:
    """Return a page that says what is wrong and what can be done."""
    title, message = _explain(request, error)
    response = await request.page("error.html", status=error.status, title=title, message=message)
    return replace(response, headers=[*response.headers, *error_headers(error)])


def _explain(request: PageRequest, error: RollcallError) -> tuple[str, str]:
    _ = request.translate
    match error:
        case RouteNotFound() | MethodNotAllowed():
            return _("Page not found"), _("There is no page at this address. Check it, or start from the overview.")
        case Forbidden() if not error.reason:
            return (
                _("Not available"),
                _("This does not exist, or you do not have permission to see it. An administrator can tell you which."),
            )
        case ServiceUnavailable():
            return _("Temporarily unavailable"), _("The directory cannot be reached at the moment. Try again shortly.")
        case RequestsExceeded():
            return _("Too many requests"), _("Wait a moment, then try again.")
        case _ if error.status >= 500:
            return (
                _("Something went wrong"),
                _("The error was logged with the request id {id}.").format(id=request.head.id),
            )
        case _:
            return _("This did not work"), error_message(error, request.translate)
