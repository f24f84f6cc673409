"""Signing in and out."""

from app.core.errors import InvalidCredentials, InvalidOtp, RollcallError, RouteNotFound
from app.flows.login import Credentials, LoginService
from app.flows.session import SessionService
from app.flows.tokens import TokenMode
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest, redirect_to
from app.studio.pages.entry.provider_sign_in_links import failure_message, provider_links
from app.studio.routing import Route


async def show_sign_in(request: PageRequest) -> Response:
    """Return the form to sign in."""
    reason = request.query.get("reason", "")
    message = failure_message(reason, request.translate)
    errors = {"": message} if message else None
    asks_code = reason == InvalidOtp.code
    return await sign_in_page(
        request, target=request.query.get("next", ""), errors=errors, asks_provider_code=asks_code
    )


async def enter_provider_code(request: PageRequest) -> Response:
    """Return the links to the providers once more, with the code of two-factor authentication in them."""
    form = await request.form()
    return await sign_in_page(request, target=form.get("next", ""), provider_code=form.get("otp", "").strip())


async def sign_in(request: PageRequest) -> Response:
    """Start a session and lead to the requested page.

    The password is never part of a page: with two-factor authentication, a script keeps the form while it asks for the
    code; without scripts the user enters both again.
    """
    if request.services.settings.auth_disable_default:
        raise RouteNotFound(request.addresses.page("/sign-in"))
    form = await request.form()
    email, target = form.get("email", ""), form.get("next", "")
    credentials = Credentials(email, form.get("password", ""), form.get("otp", "").strip() or None)
    try:
        tokens = await LoginService(request.directory).login(credentials, TokenMode.SESSION)
    except RollcallError as error:
        asks_code = isinstance(error, InvalidOtp) and credentials.otp is None
        errors = None if asks_code else _sign_in_errors(request, error)
        return await sign_in_page(request, email, target, errors, error.status, asks_code=asks_code)
    request.directory.response_cookies += tokens.cookies
    return redirect_to(request.addresses.checked(target))


async def sign_out(request: PageRequest) -> Response:
    """End the session and lead to the form to sign in."""
    await request.form()
    cookie = await SessionService(request.directory).logout(None, TokenMode.SESSION)
    request.directory.response_cookies += (cookie,)
    return request.redirect("/sign-in", notice="signed-out")


def _sign_in_errors(request: PageRequest, error: RollcallError) -> FormErrors:
    """Return the messages of a failed attempt, which do not reveal whether the account exists or is locked."""
    _ = request.translate
    match error:
        case InvalidOtp():
            return {"otp": _("This code is wrong or was used before. Enter the current one.")}
        case InvalidCredentials():
            wrong = _("The email address or the password is wrong.")
            locked = _("After too many failed attempts, further ones are rejected for a while.")
            return {"": f"{wrong} {locked}"}
        case _:
            return form_errors(error, request.translate)


async def sign_in_page(
    request: PageRequest,
    email: str = "",
    target: str = "",
    errors: FormErrors | None = None,
    status: int = 200,
    *,
    message: str = "",
    asks_code: bool = False,
    asks_provider_code: bool = False,
    provider_code: str | None = None,
) -> Response:
    """Return the form to sign in, with the notice that has the name `message`, if any.

    `asks_code` is whether the password is right and the one-time code is needed, too, `asks_provider_code` whether it
    is needed for a sign-in with a provider; `provider_code` is that code.
    """
    settings = request.services.settings
    return await request.page(
        "sign_in.html",
        status=status,
        errors=errors,
        email=email,
        target=target,
        message=message,
        asks_code=asks_code,
        asks_provider_code=asks_provider_code,
        provider_code=provider_code,
        has_password=not settings.auth_disable_default,
        providers=provider_links(settings.auth_providers, request.addresses, target, provider_code),
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/sign-in", show_sign_in, visitors=True),
    Route("POST", "/sign-in", sign_in, visitors=True),
    Route("POST", "/sign-in/code", enter_provider_code, visitors=True),
    Route("POST", "/sign-out", sign_out, before_tfa=True),
)
