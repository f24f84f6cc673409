"""Linking an account to a service at which its user has signed in, by the password of the account."""

from app.core.errors import InvalidOtp, RollcallError
from app.flows.single_sign_on.provider_sign_in import SingleSignOn
from app.http.response import Response
from app.studio.form_errors import FormErrors
from app.studio.page_request import PageRequest, redirect_to
from app.studio.pages.entry.sign_in_errors import sign_in_errors
from app.studio.routing import Route


async def show_link(request: PageRequest) -> Response:
    """Return the form for the password."""
    return await _link_page(request, request.query.get("provider", ""))


async def link_account(request: PageRequest) -> Response:
    """Link the account, start a session and lead to where the sign-in leads to."""
    form = await request.form()
    provider, otp = form.get("provider", ""), form.get("otp", "").strip() or None
    try:
        completed = await SingleSignOn(request.directory, provider).confirm_link(form.get("password", ""), otp)
    except RollcallError as error:
        asks_code = isinstance(error, InvalidOtp) and otp is None
        errors = None if asks_code else _errors(request, error)
        return await _link_page(request, provider, errors, error.status, asks_code=asks_code)
    request.directory.response_cookies += completed.tokens.cookies
    target = completed.redirect or request.addresses.page()
    if request.addresses.checked(target) == target:
        return redirect_to(target)
    # Browsers don't let a form lead to another site.
    return await request.page("account_linked.html", target=target)


def _errors(request: PageRequest, error: RollcallError) -> FormErrors:
    _ = request.translate
    return sign_in_errors(error, _, _("The password is wrong."), "password")


async def _link_page(
    request: PageRequest, provider: str, errors: FormErrors | None = None, status: int = 200, *, asks_code: bool = False
) -> Response:
    settings = next((each for each in request.services.settings.auth_providers if each.name == provider), None)
    link = SingleSignOn(request.directory, provider).pending_link() if settings else None
    if settings is None or link is None:
        return request.redirect("/sign-in", notice="link-expired")
    return await request.page(
        "link_account.html",
        status=status,
        errors=errors,
        provider=provider,
        label=settings.label or settings.name,
        email=link.profile.email,
        asks_code=asks_code,
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", "/link-account", show_link, visitors=True),
    Route("POST", "/link-account", link_account, visitors=True),
)
