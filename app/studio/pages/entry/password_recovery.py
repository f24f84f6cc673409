"""Recovering a forgotten password: requesting a mail with a link, and setting a new password with it."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import RollcallError
from app.flows.password_reset import PasswordReset
from app.http.response import Response
from app.repositories.commands.accounts import Account
from app.studio.form_errors import form_errors
from app.studio.page_request import Form, PageRequest
from app.studio.pages.entry.new_password import NextStep, read_requirement
from app.studio.pages.entry.password_link import PasswordLinkPages
from app.studio.routing import Route


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


class PasswordResetPages(PasswordLinkPages):
    """Asks for a new password instead of the forgotten one."""

    path = "/reset-password"
    notice = "password-changed"

    async def account(self, request: PageRequest, token: str) -> Account:
        return await PasswordReset(request.directory).account(token)

    async def set_password(self, request: PageRequest, form: Form) -> None:
        await PasswordReset(request.directory).reset(form.get("token", ""), form.get("password", ""))

    async def texts(self, request: PageRequest, account: Account, form: Form) -> Mapping[str, Any]:
        _ = request.translate
        return {
            "heading": _("Set a new password"),
            "introduction": _("You are signed out on all devices as soon as it is saved."),
            "button": _("Save password"),
            "names": {},
            "requirement": await read_requirement(request),
        }

    def outdated(self, request: PageRequest, error: RollcallError) -> tuple[str, NextStep]:
        _ = request.translate
        message = _("This link has expired or was used already. Links to set a new password work once, within one day.")
        return message, ("/forgot-password", _("Request a new link"))


ROUTES: tuple[Route, ...] = (
    Route("GET", "/forgot-password", show_request, visitors=True),
    Route("POST", "/forgot-password", request_link, visitors=True),
    *PasswordResetPages().routes,
)
