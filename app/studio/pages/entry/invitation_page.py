"""Accepting an invitation: the invited user sets the first password."""

from collections.abc import Mapping
from typing import Any

from app.core.errors import InvalidInvite, RollcallError, TokenExpired
from app.flows.invitations import NAMES, Invitations
from app.repositories.commands.accounts import Account
from app.studio.page_request import Form, PageRequest
from app.studio.pages.entry.new_password import NextStep, read_requirement
from app.studio.pages.entry.password_link import PasswordLinkPages
from app.studio.routing import Route


class InvitationPages(PasswordLinkPages):
    """Asks for the first password, and for the names that the invitation left empty."""

    path = "/accept-invite"
    notice = "invitation-accepted"

    async def account(self, request: PageRequest, token: str) -> Account:
        return await Invitations(request.directory).account(token)

    async def set_password(self, request: PageRequest, form: Form) -> None:
        token, password = form.get("token", ""), form.get("password", "")
        await Invitations(request.directory).accept(token, password, _names(form))

    async def texts(self, request: PageRequest, account: Account, form: Form) -> Mapping[str, Any]:
        _, names = request.translate, _names(form)
        return {
            "heading": _("Welcome to {project}").format(project=request.project.name),
            "introduction": _("You were invited. Choose a password to activate your account."),
            "button": _("Activate account"),
            "names": {name: names[name] for name in await Invitations(request.directory).missing_names(account)},
            "requirement": (await read_requirement(request))._replace(history=0),  # the user had no password
        }

    def outdated(self, request: PageRequest, error: RollcallError) -> tuple[str, NextStep]:
        _ = request.translate
        message = _("This invitation has expired, was withdrawn, or was accepted already.")
        if isinstance(error, TokenExpired):
            message = _("This invitation has expired. Ask the person who invited you for a new one.")
        elif isinstance(error, InvalidInvite):
            message = _(
                "This invitation was accepted already, or withdrawn. If you have set a password, sign in with it; "
                "otherwise ask the person who invited you for a new invitation."
            )
        return message, ("/sign-in", _("Sign in"))


def _names(form: Form) -> dict[str, str]:
    return {name: form.get(name, "").strip() for name in NAMES}


ROUTES: tuple[Route, ...] = InvitationPages().routes
