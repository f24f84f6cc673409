"""Two-factor authentication of the signed-in user: setting it up, recovery codes, and disabling it.

These pages are all that a user sees who has to set it up first, so they read nothing that depends on permissions.
"""

from typing import Any

from app.core.auth_providers import DEFAULT_PROVIDER
from app.core.errors import InvalidCredentials, InvalidPayload, RollcallError
from app.flows.session import SessionService
from app.flows.single_sign_on.redirects import allowed_redirect
from app.flows.tokens import TokenMode
from app.flows.two_factor import TotpSecret, TwoFactorService
from app.http.response import Response
from app.repositories.commands.accounts import AccountStore
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import PageRequest
from app.studio.qr_code import qr_code_svg
from app.studio.routing import Route

PATH = "/account/two-factor"


async def show_two_factor(request: PageRequest) -> Response:
    """Return the page with the state of two-factor authentication, and what can be done about it."""
    return await _two_factor_page(request)


async def start_setup(request: PageRequest) -> Response:
    """Show a new secret, which is not stored yet, if the password is right."""
    form = await request.form()
    try:
        totp = await TwoFactorService(request.directory).generate(form.get("password", ""))
    except InvalidCredentials:
        message = request.translate(
            "The password is wrong. After too many failed attempts, further ones are rejected for a while."
        )
        return await _two_factor_page(request, {"password": message}, 400)
    except RollcallError as error:
        return await _two_factor_page(request, form_errors(error, request.translate), error.status)
    return await _setup_page(request, totp)


async def enable(request: PageRequest) -> Response:
    """Enable two-factor authentication, and show recovery codes, which cannot be shown again."""
    form = await request.form()
    secret, otp, service = form.get("secret", ""), _code(form.get("otp", "")), TwoFactorService(request.directory)
    try:
        await service.enable(otp, secret)
    except InvalidPayload:
        account = await AccountStore(request.services).by_id(request.user)
        if account is not None and account.tfa_secret is not None:  # enabled in another tab
            return request.redirect(PATH)
        errors = {"otp": request.translate("This code is wrong. Enter the one that your app shows now.")}
        return await _setup_page(request, await service.totp_secret(secret), errors, 400)
    await _renew_session(request)
    try:
        codes = await service.recovery_codes(otp)  # the code that enabled the secret is accepted once more
    except InvalidPayload:  # its time has just expired
        return request.redirect(PATH, notice="two-factor-enabled")
    return await _codes_page(request, codes, is_new=True)


async def create_recovery_codes(request: PageRequest) -> Response:
    """Replace the recovery codes, and show the new ones."""
    form = await request.form()
    try:
        codes = await TwoFactorService(request.directory).recovery_codes(_code(form.get("otp", "")))
    except InvalidPayload:
        return await _two_factor_page(request, {"otp": _wrong_code(request)}, 400)
    return await _codes_page(request, codes)


async def disable(request: PageRequest) -> Response:
    """Disable two-factor authentication, with a code or a recovery code."""
    form = await request.form()
    try:
        await TwoFactorService(request.directory).disable(_code(form.get("disable_otp", "")))
    except InvalidPayload:
        return await _two_factor_page(request, {"disable_otp": _wrong_code(request)}, 400)
    return request.redirect(PATH, notice="two-factor-disabled")


def _code(text: str) -> str:
    """Return a code as it was displayed: authenticators show its digits in groups."""
    return text.replace(" ", "")


def _wrong_code(request: PageRequest) -> str:
    return request.translate(
        "This code is wrong or was used before. Wait for the next one. After ten wrong codes, further ones are "
        "rejected for a while."
    )


async def _renew_session(request: PageRequest) -> None:
    """Replace the session by one whose token no longer demands the set-up."""
    tokens = await SessionService(request.directory).refresh(None, TokenMode.SESSION)
    request.directory.response_cookies = tokens.cookies


async def _two_factor_page(request: PageRequest, errors: FormErrors | None = None, status: int = 200) -> Response:
    access, account = await request.directory.fresh_access(), await AccountStore(request.services).by_id(request.user)
    if account is None:
        raise InvalidCredentials
    return await request.page(
        "account/two_factor.html",
        status=status,
        errors=errors,
        email=account.email,
        needs_password=account.provider == DEFAULT_PROVIDER,
        onward=_onward(request),
        is_enabled=account.tfa_secret is not None,
        is_enforced=access.enforce_tfa,
        has_passkeys=request.services.settings.passkeys is not None and account.provider == DEFAULT_PROVIDER,
        is_required_now=access.tfa_setup_required,
    )


async def _setup_page(
    request: PageRequest, totp: TotpSecret, errors: FormErrors | None = None, status: int = 200
) -> Response:
    groups = [totp.secret[start : start + 4] for start in range(0, len(totp.secret), 4)]
    context: dict[str, Any] = {"secret": totp.secret, "groups": groups, "qr_code": qr_code_svg(totp.url)}
    context["onward"] = _onward(request)
    return await request.page("account/two_factor_setup.html", status=status, errors=errors, **context)


async def _codes_page(request: PageRequest, codes: list[str], *, is_new: bool = False) -> Response:
    return await request.page("account/recovery_codes.html", codes=codes, is_new=is_new, target=_target(request))


def _onward(request: PageRequest) -> dict[str, str]:
    """Return the parameters that lead on after the setup which a sign-in with a provider began, for the next page."""
    return {name: request.query[name] for name in ("redirect", "provider") if name in request.query}


def _target(request: PageRequest) -> str | None:
    """Return where the sign-in leads to, None if the parameters name no address that a sign-in may lead to."""
    providers, settings = request.services.identity_providers.redirecting, request.services.settings
    provider = providers.get(request.query.get("provider", ""))
    try:
        return allowed_redirect(request.query.get("redirect"), provider.settings, settings) if provider else None
    except InvalidPayload:
        return None


ROUTES: tuple[Route, ...] = (
    Route("GET", PATH, show_two_factor, before_tfa=True),
    Route("POST", f"{PATH}/set-up", start_setup, before_tfa=True),
    Route("POST", f"{PATH}/enable", enable, before_tfa=True),
    Route("POST", f"{PATH}/recovery-codes", create_recovery_codes),
    Route("POST", f"{PATH}/disable", disable),
)
