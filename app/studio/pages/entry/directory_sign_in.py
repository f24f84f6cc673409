"""Signing in with the user name and the password of an LDAP directory."""

from app.core.errors import (
    InvalidOtp,
    InvalidProvider,
    RollcallError,
    RouteNotFound,
    ServiceUnavailable,
)
from app.core.ldap_settings import LdapSettings
from app.flows.single_sign_on.ldap_sign_in import LdapCredentials, LdapSignIn
from app.flows.tokens import TokenMode
from app.http.response import Response
from app.studio.form_errors import FormErrors
from app.studio.page_request import PageRequest, redirect_to
from app.studio.pages.entry.provider_sign_in_links import failure_message
from app.studio.pages.entry.sign_in_errors import sign_in_errors
from app.studio.routing import Route


async def show_form(request: PageRequest) -> Response:
    """Return the form of a directory."""
    return await _page(request, target=request.query.get("next", ""))


async def sign_in(request: PageRequest) -> Response:
    """Start a session and lead to the requested page; as with a password of this server, no page contains it."""
    provider, form = _directory(request).name, await request.form()
    identifier, target = form.get("identifier", ""), form.get("next", "")
    credentials = LdapCredentials(identifier, form.get("password", ""), form.get("otp", "").strip() or None)
    try:
        tokens = await LdapSignIn(request.directory, provider).sign_in(credentials, TokenMode.SESSION)
    except RollcallError as error:
        asks_code = isinstance(error, InvalidOtp) and credentials.otp is None
        errors = None if asks_code else _errors(request, error)
        return await _page(request, identifier, target, errors, error.status, asks_code=asks_code)
    request.directory.response_cookies += tokens.cookies
    return redirect_to(request.addresses.checked(target))


def _directory(request: PageRequest) -> LdapSettings:
    """Return the settings of the directory that the address names.

    Raises:
        RouteNotFound: There is none.
    """
    name = request.parameters["provider"]
    for each in request.services.settings.auth_providers:
        if each.name == name and isinstance(each, LdapSettings):
            return each
    raise RouteNotFound(request.addresses.page(f"/sign-in/with/{name}"))


def _errors(request: PageRequest, error: RollcallError) -> FormErrors:
    _ = request.translate
    if isinstance(error, InvalidProvider | ServiceUnavailable):
        return {"": failure_message(error.code, _)}
    return sign_in_errors(error, _, _("The user name or the password is wrong."))


async def _page(
    request: PageRequest,
    identifier: str = "",
    target: str = "",
    errors: FormErrors | None = None,
    status: int = 200,
    *,
    asks_code: bool = False,
) -> Response:
    directory = _directory(request)
    return await request.page(
        "directory_sign_in.html",
        status=status,
        errors=errors,
        provider=directory.name,
        label=directory.label or directory.name,
        identifier=identifier,
        target=target,
        asks_code=asks_code,
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/sign-in/with/{provider}", show_form, visitors=True),
    Route("POST", "/sign-in/with/{provider}", sign_in, visitors=True),
)
