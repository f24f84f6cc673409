"""Accepting an invitation: the invited user sets the first password."""

from collections.abc import Mapping

from app.core.errors import Forbidden, InvalidInvite, InvalidToken, RollcallError, TokenExpired
from app.flows.invitations import NAMES, Invitations
from app.http.response import Response
from app.studio.form_errors import FormErrors
from app.studio.page_request import PageRequest
from app.studio.pages.entry.new_password import enter, link_problem_page, password_errors, read_requirement
from app.studio.routing import Route

LINK_ERRORS = (Forbidden, InvalidInvite, InvalidToken, TokenExpired)


async def show_invitation(request: PageRequest) -> Response:
    """Return the form for the first password; nothing is changed, because mail scanners open links too."""
    return await _invitation_page(request, request.query.get("token", ""))


async def accept_invitation(request: PageRequest) -> Response:
    """Set the first password and sign in with it."""
    form = await request.form()
    token, password = form.get("token", ""), form.get("password", "")
    names = {name: form.get(name, "").strip() for name in NAMES}
    invitations = Invitations(request.directory)
    try:
        email = (await invitations.account(token)).email or ""
        await invitations.accept(token, password, names)
    except LINK_ERRORS as error:
        return await _problem_page(request, error)
    except RollcallError as error:
        return await _invitation_page(request, token, names, password_errors(request, error), error.status)
    return await enter(request, email, password, "invitation-accepted")


async def _invitation_page(
    request: PageRequest,
    token: str,
    names: Mapping[str, str] | None = None,
    errors: FormErrors | None = None,
    status: int = 200,
) -> Response:
    """Return the form with what was entered as `names`; it asks only for those that the invitation left empty."""
    _, invitations = request.translate, Invitations(request.directory)
    try:
        account = await invitations.account(token)
    except LINK_ERRORS as error:
        return await _problem_page(request, error)
    return await request.page(
        "new_password.html",
        status=status,
        errors=errors,
        heading=_("Welcome to {project}").format(project=request.project.name),
        introduction=_("You were invited. Choose a password to activate your account."),
        action="/accept-invite",
        button=_("Activate account"),
        email=account.email,
        token=token,
        names={name: (names or {}).get(name, "") for name in await invitations.missing_names(account)},
        requirement=(await read_requirement(request))._replace(history=0),  # the user had no password
    )


async def _problem_page(request: PageRequest, error: RollcallError) -> Response:
    _ = request.translate
    outdated = _("This invitation has expired, was withdrawn, or was accepted already.")
    if isinstance(error, TokenExpired):
        outdated = _("This invitation has expired. Ask the person who invited you for a new one.")
    elif isinstance(error, InvalidInvite):
        outdated = _(
            "This invitation was accepted already, or withdrawn. If you have set a password, sign in with it; "
            "otherwise ask the person who invited you for a new invitation."
        )
    return await link_problem_page(request, error, outdated, ("/sign-in", _("Sign in")))


ROUTES: tuple[Route, ...] = (
    Route("GET", "/accept-invite", show_invitation, visitors=True),
    Route("POST", "/accept-invite", accept_invitation, visitors=True),
)
