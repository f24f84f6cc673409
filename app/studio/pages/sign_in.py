"""Signing in and out."""

from app.core.errors import InvalidCredentials, InvalidOtp, RollcallError
from app.flows.login import Credentials, LoginService
from app.flows.session import SessionService
from app.flows.tokens import TokenMode
from app.http.response import Response
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import Form, PageRequest, redirect_to
from app.studio.routing import Route


async def show_sign_in(request: PageRequest) -> Response:
    """Return the form to sign in."""
    return await _sign_in_page(request, Form(), target=request.query.get("next", ""))


async def sign_in(request: PageRequest) -> Response:
    """Start a session and lead to the requested page.

    The password is never part of a page: with two-factor authentication, a script keeps the form while it asks for the
    code; without scripts the user enters both again.
    """
    form = await request.form()
    credentials = Credentials(form.get("email", ""), form.get("password", ""), form.get("otp", "").strip() or None)
    target = form.get("next", "")
    try:
        tokens = await LoginService(request.directory).login(credentials, TokenMode.SESSION)
    except InvalidOtp as error:
        return await _sign_in_page(request, form, target, _code_errors(request, credentials), error.status)
    except InvalidCredentials as error:
        message = request.translate("The email address or the password is wrong.")
        return await _sign_in_page(request, form, target, {"": message}, error.status)
    except RollcallError as error:
        return await _sign_in_page(request, form, target, form_errors(error, request.translate), error.status)
    request.directory.response_cookies += tokens.cookies
    return redirect_to(request.addresses.checked(target))


async def sign_out(request: PageRequest) -> Response:
    """End the session and lead to the form to sign in."""
    await request.form()
    cookie = await SessionService(request.directory).logout(None, TokenMode.SESSION)
    request.directory.response_cookies += (cookie,)
    return request.redirect("/sign-in", notice="signed-out")


def _code_errors(request: PageRequest, credentials: Credentials) -> FormErrors:
    _ = request.translate
    if credentials.otp is None:
        return {"otp": _("Enter the code from your authenticator app, or a recovery code.")}
    return {"otp": _("This code is wrong or was used before. Enter the current one.")}


async def _sign_in_page(
    request: PageRequest, form: Form, target: str, errors: FormErrors | None = None, status: int = 200
) -> Response:
    return await request.page("sign_in.html", status=status, errors=errors, email=form.get("email", ""), target=target)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/sign-in", show_sign_in, visitors=True),
    Route("POST", "/sign-in", sign_in, visitors=True),
    Route("POST", "/sign-out", sign_out, before_tfa=True),
)
