"""Inviting users into a role, and the pending invitations of a role."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.core.email_addresses import email_key
from app.core.errors import FailedValidation, Forbidden, MultipleErrors, RollcallError
from app.flows.invitations import Invitations
from app.http.response import Response
from app.repositories.commands.invitations import InvitationOutcome, InvitationResult
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.roles.role_hierarchy import read_hierarchy, role_name
from app.studio.pages.roles.role_page import authorized_role, rejected_action, role_page
from app.studio.pages.tools.row_reference import RowNotFound, find_row
from app.studio.pages.users.user_roles import role_text
from app.studio.role_choice import are_too_many, readable_roles
from app.studio.routing import Route

MAX_ADDRESSES = 100
"""How many addresses one form may invite: each is a transaction of its own, so that one cannot prevent the others."""
SEPARATORS = re.compile(r"[,;\r\n]+")
INVITED_USER = "query InvitedUser($id: ID!) {\n  users_by_id(id: $id) { email status }\n}"


@dataclass(frozen=True, slots=True)
class AddressOutcome:
    """What happened to one address."""

    address: str
    message: str
    failed: bool = False
    is_user: bool = False
    """Whether the address is that of a user who can be added instead."""
    link: str | None = None
    """The link to accept the invitation, if the caller has to pass it on: a credential, only for this response."""


async def show_invite(request: PageRequest) -> Response:
    """Return the drawer with the form to invite users, which has a select for the role unless the path names it."""
    return await _invite_page(request, "", request.query.get("role", ""))


async def invite_users(request: PageRequest) -> Response:
    """Invite each address by itself and report an outcome per address; the form keeps those that failed."""
    form = await request.form()
    text, chosen = form.get("emails", ""), form.get("role", "").strip()
    addresses = _addresses(text)
    problems = {"role": "", "emails": _count_problem(request, addresses)}
    try:
        chosen = await _chosen_role(request, chosen)
    except RowNotFound as error:
        problems["role"] = str(error)
    if any(problems.values()):
        errors = {name: problem for name, problem in problems.items() if problem}
        return await _invite_page(request, text, chosen, errors=errors, status=422)
    role = await authorized_role(request, lambda may: may.invite, request.parameters.get("role", chosen))
    results = [await _invite(request, address, role["id"]) for address in addresses]
    shows_links = await _shows_links(request)
    if all(_is_mailed(result) for result in results) and not shows_links:
        page = f"/roles/{role['id']}" if "role" in request.parameters else "/users"
        return request.redirect(page, notice="invitations-sent" if _sends_mail(request) else "invitations-logged")
    outcomes = [await _outcome(request, *pair) for pair in zip(addresses, results, strict=True)]
    if shows_links:
        outcomes = [_with_link(request, *pair) for pair in zip(outcomes, results, strict=True)]
    failed = [outcome.address for outcome in outcomes if outcome.failed]
    return await _invite_page(request, "\n".join(failed), chosen, outcomes, status=422 if failed else 200)


async def resend_invitation(request: PageRequest) -> Response:
    """Send another mail to an invited user."""
    user = (await request.form()).get("user", "")
    await authorized_role(request, lambda may: may.resend)
    try:
        email = await _invited_email(request, user)
        outcomes = await Invitations(request.directory).invite([email], None)
    except RollcallError as error:
        return await rejected_action(request, error)
    sent = "invitation-sent" if _sends_mail(request) else "invitation-logged"
    notice = sent if outcomes[0].has_mail else "invitation-recent"
    return request.redirect(f"/roles/{request.parameters['role']}", notice=notice)


async def revoke_invitation(request: PageRequest) -> Response:
    """Delete an invited user, so that the links in all mails become invalid."""
    user = (await request.form()).get("user", "")
    await authorized_role(request, lambda may: may.revoke)
    try:
        is_revoked = await Invitations(request.directory).revoke(await _invited_email(request, user))
    except RollcallError as error:
        return await rejected_action(request, error)
    if not is_revoked:
        message = request.translate("You do not have permission to revoke this invitation, or it was accepted.")
        return await role_page(request, {"": message}, Forbidden.status)
    return request.redirect(f"/roles/{request.parameters['role']}", notice="invitation-revoked")


def _sends_mail(request: PageRequest) -> bool:
    """Return whether mails are sent, and not only written to the log."""
    return request.services.settings.email_transport != "log"


async def _shows_links(request: PageRequest) -> bool:
    """Return whether the caller gets the links of invitations, because no mail is sent.

    The right to invite does not include setting passwords, but a link does so. So they are shown to callers who may
    create active users with any password. That they have all rights of the role is checked by each invitation.
    """
    if _sends_mail(request):
        return False
    return (await request.rights()).may_create_freely("users", ("email", "role", "password", "status"))


def _is_mailed(result: InvitationOutcome | RollcallError) -> bool:
    """Return whether a new user was created and a mail queued."""
    return not isinstance(result, RollcallError) and result[:2] == (InvitationResult.CREATED, True)


def _with_link(
    request: PageRequest, outcome: AddressOutcome, result: InvitationOutcome | RollcallError
) -> AddressOutcome:
    """Return an outcome with the link of the user whom this request created, if it did."""
    if isinstance(result, RollcallError):
        return outcome
    return replace(outcome, link=Invitations(request.directory).link(result))


def _addresses(text: str) -> list[str]:
    """Return the addresses of a text, separated by commas or line breaks, each once."""
    parts = [part.strip() for part in SEPARATORS.split(text)]
    return list({email_key(part): part for part in reversed(parts) if part}.values())[::-1]


async def _chosen_role(request: PageRequest, text: str) -> str:
    """Return the id of the role that a form names; the path may name it instead.

    Raises:
        RowNotFound: The text is empty, or names no role, or several.
    """
    if "role" in request.parameters:
        return text
    if not text:
        raise RowNotFound(request.translate("Choose a role."))
    return await find_row(request, "roles", text)


def _count_problem(request: PageRequest, addresses: Sequence[str]) -> str:
    _ = request.translate
    if not addresses:
        return _("Enter at least one email address.")
    if len(addresses) > MAX_ADDRESSES:
        message = _("Enter at most {max} addresses at a time; these are {count}.")
        return message.format(max=MAX_ADDRESSES, count=len(addresses))
    return ""


async def _invite(request: PageRequest, address: str, role: str) -> InvitationOutcome | RollcallError:
    try:
        return (await Invitations(request.directory).invite([address], role))[0]
    except RollcallError as error:
        return error


async def _outcome(request: PageRequest, address: str, result: InvitationOutcome | RollcallError) -> AddressOutcome:
    _ = request.translate
    if isinstance(result, RollcallError):
        return AddressOutcome(address, _failure(request, result), failed=True)
    rights = await request.rights()
    if result.result is not InvitationResult.CREATED and not rights.may_field("read", "users", "status"):
        return AddressOutcome(address, _("Already a user or invited"))
    if result.result is InvitationResult.SKIPPED:
        return AddressOutcome(address, _("Already a user (skipped)"), is_user=True)
    if not result.has_mail:
        return AddressOutcome(address, _("Invited a moment ago; no further mail was sent"))
    is_new = result.result is InvitationResult.CREATED
    return AddressOutcome(address, _("Invited") if is_new else _("Invited again"))


def _failure(request: PageRequest, error: RollcallError) -> str:
    first = error.errors[0] if isinstance(error, MultipleErrors) else error
    if isinstance(first, FailedValidation) and first.details["field"] == "email" and first.details["type"] == "email":
        return request.translate("Invalid address")
    messages = "; ".join(dict.fromkeys(form_errors(error, request.translate).values()))
    return request.translate("Failed: {reason}").format(reason=messages)


async def _invited_email(request: PageRequest, user: str) -> str:
    """Return the email of an invited user.

    Raises:
        Forbidden: The caller cannot see the user, or it is not invited.
    """
    found: dict[str, Any] = (await request.execute(INVITED_USER, {"id": user}))["users_by_id"]
    if found["status"] != "invited" or not found["email"]:
        raise Forbidden(request.translate("This invitation was accepted or canceled"))
    return str(found["email"])


async def _invite_page(
    request: PageRequest,
    emails: str,
    chosen: str,
    outcomes: Sequence[AddressOutcome] = (),
    errors: FormErrors | None = None,
    status: int = 200,
) -> Response:
    context = {**await _role_context(request, chosen), "emails": emails, "outcomes": outcomes}
    context |= {"sends_mail": _sends_mail(request), "shows_links": await _shows_links(request)}
    return await request.page("roles/invite.html", status=status, errors=errors, **context)


async def _role_context(request: PageRequest, chosen: str) -> dict[str, Any]:
    """Return the role in the path, or the roles to choose from.

    Raises:
        Forbidden: The caller may not invite users.
    """
    if "role" in request.parameters:
        role = await authorized_role(request, lambda may: may.invite)
        return {"role": role, "name": role_name(role), "choices": None, "suggestions": (), "chosen": role["id"]}
    rights = await request.rights()
    if not rights.may_fields("create", "users", ["email", "role"]):
        raise Forbidden
    if are_too_many(roles := await readable_roles(request, rights)):
        text = await role_text(request, roles, chosen)
        return {"role": None, "name": "", "choices": None, "suggestions": roles, "chosen": chosen, "text": text}
    choices = (await read_hierarchy(request)).parent_options(None, request.translate("Choose a role"))
    return {"role": None, "name": "", "choices": choices, "suggestions": (), "chosen": chosen}


USER_ROUTES: tuple[Route, ...] = (
    Route("GET", "/users/invite", show_invite),
    Route("POST", "/users/invite", invite_users),
)
"""The routes of the invitation of users into a role that the form asks for."""
ROUTES: tuple[Route, ...] = (
    Route("GET", "/roles/{role}/invite", show_invite),
    Route("POST", "/roles/{role}/invite", invite_users),
    Route("POST", "/roles/{role}/invitations/resend", resend_invitation),
    Route("POST", "/roles/{role}/invitations/revoke", revoke_invitation),
)
