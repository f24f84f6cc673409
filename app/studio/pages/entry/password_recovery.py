"""Recovering a forgotten password: requesting a mail with a link, and setting a new password with it."""

from app.core.errors import Forbidden, InvalidToken, RollcallError, TokenExpired
from app.flows.password_reset import PasswordReset
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.entry.new_password import enter, link_problem_page, password_errors, read_requirement
from app.studio.routing import Route

LINK_ERRORS = (Forbidden, InvalidToken, TokenExpired)


async def show_request(request: PageRequest) -> Response:
    """Return the form that asks for the email address of the account."""
    return await request.page("forgot_password.html", email=request.query.get("email", ""))


async def request_link(request: PageRequest) -> Response:
    """Send a link, if there is such an account; the response is the same for every address."""
    email = (await request.form()).get("email", "").strip()
    if not email:
        errors = {"email": request.translate("Enter a complete email address, such as name@example.com.")}
        return await request.page("forgot_password.html", status=400, errors=errors, email=email)
    try:
        await PasswordReset(request.directory).request(email)
    except RollcallError as error:
        errors = form_errors(error, request.translate)
        return await request.page("forgot_password.html", status=error.status, errors=errors, email=email)
    return request.redirect("/sign-in", notice="reset-requested")


async def show_reset(request: PageRequest) -> Response:
    """Return the form for a new password; nothing is changed, because mail scanners open links too."""
    return await _reset_page(request, request.query.get("token", ""))


async def reset_password(request: PageRequest) -> Response:
    """Set the new password and sign in with it."""
    form = await request.form()
    token, password = form.get("token", ""), form.get("password", "")
    flow = PasswordReset(request.directory)
    try:
        email = (await flow.account(token)).email or ""
        await flow.reset(token, password)
    except LINK_ERRORS as error:
        return await _problem_page(request, error)
    except RollcallError as error:
        return await _reset_page(request, token, password_errors(request, error), error.status)
    return await enter(request, email, password, "password-changed")


async def _reset_page(
    request: PageRequest, token: str, errors: FormErrors | None = None, status: int = 200
) -> Response:
    _ = request.translate
    try:
        account = await PasswordReset(request.directory).account(token)
    except LINK_ERRORS as error:
        return await _problem_page(request, error)
    return await request.page(
        "new_password.html",
        status=status,
        errors=errors,
        heading=_("Set a new password"),
        introduction=_("You are signed out on all devices as soon as it is saved."),
        action="/reset-password",
        button=_("Save password"),
        email=account.email,
        token=token,
        names={},
        requirement=await read_requirement(request),
    )


async def _problem_page(request: PageRequest, error: RollcallError) -> Response:
    _ = request.translate
    outdated = _("This link has expired or was used already. Links to set a new password work once, within one day.")
    return await link_problem_page(request, error, outdated, ("/forgot-password", _("Request a new link")))


ROUTES: tuple[Route, ...] = (
    Route("GET", "/forgot-password", show_request, visitors=True),
    Route("POST", "/forgot-password", request_link, visitors=True),
    Route("GET", "/reset-password", show_reset, visitors=True),
    Route("POST", "/reset-password", reset_password, visitors=True),
)
