"""Signing in and out."""

from app.core.errors import InvalidCredentials, InvalidOtp, InvalidPayload, RollcallError, RouteNotFound
from app.flows.login import Credentials, LoginService
from app.flows.passkeys.assertions import PasskeyResponse
from app.flows.passkeys.passkey_sign_in import PASSKEY_USES, PasskeySignIn
from app.flows.session import SessionService
from app.flows.tokens import TokenMode
from app.http.response import Response
from app.studio.form_errors import FormErrors
from app.studio.page_request import PageRequest, redirect_to
from app.studio.pages.account.passkeys_page import options_response, read_passkey_response
from app.studio.pages.entry.provider_sign_in_links import failure_message, provider_links
from app.studio.pages.entry.sign_in_errors import sign_in_errors
from app.studio.routing import Route

NO_RESPONSE = PasskeyResponse("", None)
"""What a form proves that no script has filled."""


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
    passkey = read_passkey_response(form)
    credentials = Credentials(email, form.get("password", ""), form.get("otp", "").strip() or None, passkey)
    try:
        tokens = await LoginService(request.directory).login(credentials, TokenMode.SESSION)
    except RollcallError as error:
        asks_code = isinstance(error, InvalidOtp) and credentials.otp is None and passkey is None
        errors = None if asks_code else _errors(request, error, has_passkey=passkey is not None)
        return await sign_in_page(request, email, target, errors, error.status, asks_code=asks_code)
    request.directory.response_cookies += tokens.cookies
    return redirect_to(request.addresses.checked(target))


async def passkey_options(request: PageRequest) -> Response:
    """Return options to prove a passkey as JSON, the same for everybody."""
    form = await request.form()
    use = form.get("use", "")
    if use not in PASSKEY_USES:
        raise InvalidPayload(request.translate("Reload the page and try again"))
    return options_response(PasskeySignIn(request.directory).options(use))


async def sign_in_with_passkey(request: PageRequest) -> Response:
    """Start a session with a passkey alone, and lead to the requested page."""
    form = await request.form()
    target, passkey = form.get("next", ""), read_passkey_response(form) or NO_RESPONSE
    try:
        tokens = await PasskeySignIn(request.directory).sign_in(passkey, TokenMode.SESSION)
    except InvalidCredentials as error:
        errors = {"": request.translate("This passkey was not accepted. Sign in with your password instead.")}
        return await sign_in_page(request, target=target, errors=errors, status=error.status)
    request.directory.response_cookies += tokens.cookies
    return redirect_to(request.addresses.checked(target))


async def sign_out(request: PageRequest) -> Response:
    """End the session and lead to the form to sign in."""
    await request.form()
    cookie = await SessionService(request.directory).logout(None, TokenMode.SESSION)
    request.directory.response_cookies += (cookie,)
    return request.redirect("/sign-in", notice="signed-out")


def _errors(request: PageRequest, error: RollcallError, *, has_passkey: bool) -> FormErrors:
    _ = request.translate
    if has_passkey and isinstance(error, InvalidOtp):
        return {"otp": _("This passkey was not accepted. Enter a code, or try another passkey.")}
    return sign_in_errors(error, _, _("The email address or the password is wrong."))


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
        has_passkeys=settings.passkeys is not None,
        providers=provider_links(settings.auth_providers, request.addresses, target, provider_code),
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/sign-in", show_sign_in, visitors=True),
    Route("POST", "/sign-in", sign_in, visitors=True),
    Route("POST", "/sign-in/passkey", sign_in_with_passkey, visitors=True),
    Route("POST", "/sign-in/passkey/options", passkey_options, visitors=True),
    Route("POST", "/sign-in/code", enter_provider_code, visitors=True),
    Route("POST", "/sign-out", sign_out, before_tfa=True),
)
