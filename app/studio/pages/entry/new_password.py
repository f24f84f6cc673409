"""What the pages that set a password have in common: the rules for it, their errors, and what follows."""

import re
from typing import NamedTuple

from app.core.errors import FailedValidation, InvalidToken, RollcallError
from app.flows.login import Credentials, LoginService
from app.flows.tokens import TokenMode
from app.http.response import Response
from app.repositories.project_settings import read_password_policy
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest
from app.studio.pages.entry.sign_in import sign_in_page
from app.studio.pages.settings.password_policies import STRONG, preset_of

NextStep = tuple[str, str]
"""The path and the label of a link."""
MIN_LENGTH_POLICY = re.compile(r"/\^\.\{(\d{1,4}),\}\$/", re.ASCII)


class PasswordRequirement(NamedTuple):
    """What new passwords must satisfy, in the most readable form: at most one of `is_strong` and `pattern` is set."""

    min_length: int = 0
    is_strong: bool = False
    pattern: str | None = None
    rejects_common: bool = False
    history: int = 0


async def read_requirement(request: PageRequest) -> PasswordRequirement:
    """Return what the settings and the project demand of new passwords."""
    settings, policy = request.services.settings, await read_password_policy(request.services) or ""
    is_strong, match = preset_of(policy) == STRONG, MIN_LENGTH_POLICY.fullmatch(policy)
    return PasswordRequirement(
        min_length=max(settings.password_min_length, int(match[1]) if match else 0),
        is_strong=is_strong,
        pattern=policy if policy and not is_strong and not match else None,
        rejects_common=settings.password_reject_common,
        history=settings.password_history,
    )


def password_errors(request: PageRequest, error: RollcallError) -> FormErrors:
    """Return the messages of an error by field; a password that breaks the project's policy gets one of its own."""
    if isinstance(error, FailedValidation) and (error.details["field"], error.details["type"]) == ("password", "regex"):
        return {"password": request.translate("This password does not meet the requirements. Choose another one.")}
    return form_errors(error, request.translate)


async def link_problem_page(request: PageRequest, error: RollcallError, outdated: str, next_step: NextStep) -> Response:
    """Return the page of a mailed link that does not work.

    `outdated` is the message of a link that has expired or was used; `next_step` helps then.
    """
    _ = request.translate
    incomplete = _("This link is incomplete. Open the whole link from the mail again.")
    message = incomplete if isinstance(error, InvalidToken) else outdated
    return await request.page("link_problem.html", status=400, message=message, next_step=next_step)


async def enter(request: PageRequest, email: str, password: str, notice: str) -> Response:
    """Sign a user in with a new password and lead to the start page; if more is needed, to the form to sign in."""
    try:
        tokens = await LoginService(request.directory).login(Credentials(email, password), TokenMode.SESSION)
    except RollcallError:
        return await sign_in_page(request, email, message=notice)
    request.directory.response_cookies += tokens.cookies
    return request.redirect("", notice=notice)
