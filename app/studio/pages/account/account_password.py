"""Changing the own password."""

from app.core.auth_providers import DEFAULT_PROVIDER
from app.core.errors import InvalidCredentials, RollcallError
from app.flows.password_change import PasswordChange
from app.http.response import Response
from app.repositories.commands.accounts import AccountStore
from app.studio.form_errors import FormErrors
from app.studio.page_request import PageRequest
from app.studio.pages.entry.new_password import password_errors, read_requirement
from app.studio.routing import Route


async def show_password(request: PageRequest) -> Response:
    """Return the form to change the password, if the user may change it."""
    return await _password_page(request)


async def change_password(request: PageRequest) -> Response:
    """Set the new password, which signs out all other devices; this one gets a new session."""
    form = await request.form()
    try:
        tokens = await PasswordChange(request.directory).change(form.get("current", ""), form.get("password", ""))
    except InvalidCredentials:
        message = request.translate(
            "This is not your current password. After too many failed attempts, further ones are rejected for a while."
        )
        return await _password_page(request, {"current": message}, 400)
    except RollcallError as error:
        return await _password_page(request, password_errors(request, error), error.status)
    request.directory.response_cookies = tokens.cookies
    return request.redirect("/account/password", notice="password-changed")


async def _may_change(request: PageRequest) -> bool:
    rights = await request.rights()
    if not rights.may_field("update", "users", "password"):
        return False
    return await request.directory["users"].may("update", request.user)


async def _password_page(request: PageRequest, errors: FormErrors | None = None, status: int = 200) -> Response:
    account = await AccountStore(request.services).by_id(request.user)
    return await request.page(
        "account/password.html",
        status=status,
        errors=errors,
        email=account.email if account else None,
        has_other_provider=account is not None and account.provider != DEFAULT_PROVIDER,
        may_change=await _may_change(request),
        requirement=await read_requirement(request),
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/account/password", show_password),
    Route("POST", "/account/password", change_password),
)
