"""The passkeys of the signed-in user: adding, renaming and removing them.

These pages are also for users who have to set up two-factor authentication first: a passkey satisfies that.
"""

import orjson

from app.core.auth_providers import DEFAULT_PROVIDER
from app.core.errors import InvalidCredentials, InvalidOtp, RollcallError
from app.flows.passkeys.account_proof import Proof
from app.flows.passkeys.assertions import PasskeyOptions, PasskeyResponse
from app.flows.passkeys.own_passkeys import PasskeyService
from app.flows.passkeys.second_factor import requires_second_factor
from app.flows.session import SessionService
from app.flows.tokens import TokenMode
from app.http.response import Response
from app.repositories.commands.accounts import Account, AccountStore
from app.repositories.stores.passkeys import list_passkeys
from app.studio.form_errors import FormErrors, form_errors
from app.studio.page_request import Form, PageRequest
from app.studio.routing import Route

PATH = "/account/passkeys"


async def show_passkeys(request: PageRequest) -> Response:
    """Return the list of the passkeys, with the form that adds one."""
    return await _passkeys_page(request)


async def create_options(request: PageRequest) -> Response:
    """Return the options to create a passkey as JSON, or the message of a rejected proof."""
    form = await request.form()
    try:
        options = await PasskeyService(request.directory).registration_options(_proof(form))
    except RollcallError as error:
        message = "; ".join(_errors(request, error).values())
        return Response(orjson.dumps({"message": message}), error.status, no_store=True)
    return options_response(options)


async def add_passkey(request: PageRequest) -> Response:
    """Store a new passkey."""
    form = await request.form()
    response = read_passkey_response(form) or PasskeyResponse("", None)
    try:
        await PasskeyService(request.directory).register(response, form.get("name", ""))
    except RollcallError as error:
        return await _passkeys_page(request, _errors(request, error), error.status)
    if request.directory.caller.tfa_setup_required:  # the new token no longer demands the set-up
        tokens = await SessionService(request.directory).refresh(None, TokenMode.SESSION)
        request.directory.response_cookies = tokens.cookies
    return request.redirect(PATH, notice="passkey-added")


async def rename_passkey(request: PageRequest) -> Response:
    """Rename a passkey."""
    form = await request.form()
    try:
        await PasskeyService(request.directory).rename(request.parameters["passkey"], form.get("new_name", ""))
    except RollcallError as error:
        return await _passkeys_page(request, _errors(request, error), error.status)
    return request.redirect(PATH, notice="passkey-renamed")


async def remove_passkey(request: PageRequest) -> Response:
    """Remove a passkey."""
    form = await request.form()
    try:
        await PasskeyService(request.directory).revoke(request.parameters["passkey"], _proof(form))
    except RollcallError as error:
        return await _passkeys_page(request, _errors(request, error), error.status)
    return request.redirect(PATH, notice="passkey-removed")


def options_response(options: PasskeyOptions) -> Response:
    """Return the options of a ceremony as JSON, for scripts."""
    data = {"challenge_token": options.challenge_token, "public_key": options.public_key}
    return Response(orjson.dumps(data), no_store=True)


def read_passkey_response(form: Form) -> PasskeyResponse | None:
    """Return the response of an authenticator that a script put into a form, None if there is none."""
    text = form.get("credential", "")
    if not text:
        return None
    try:
        credential = orjson.loads(text)
    except orjson.JSONDecodeError:
        credential = None
    return PasskeyResponse(form.get("challenge_token", ""), credential)


def _proof(form: Form) -> Proof:
    code = form.get("otp", "").replace(" ", "")
    return Proof(form.get("password") or None, code or None, read_passkey_response(form))


def _errors(request: PageRequest, error: RollcallError) -> FormErrors:
    _ = request.translate
    match error:
        case InvalidOtp():
            return {"": _("This code is wrong or was used before. Enter the current one.")}
        case InvalidCredentials():
            return {"": _("That was not accepted. Try again; after too many failed attempts, wait for a while.")}
        case _:
            return form_errors(error, request.translate)


async def _proof_kind(request: PageRequest, account: Account) -> str:
    """Return what proves that it is the user who changes passkeys; `otp` is a code besides the password."""
    if account.tfa_secret is not None:
        return "otp"
    return "passkey" if await requires_second_factor(request.services, account) else "password"


async def _passkeys_page(request: PageRequest, errors: FormErrors | None = None, status: int = 200) -> Response:
    access, account = await request.directory.fresh_access(), await AccountStore(request.services).by_id(request.user)
    if account is None:
        raise InvalidCredentials
    is_available = request.services.settings.passkeys is not None and account.provider == DEFAULT_PROVIDER
    return await request.page(
        "account/passkeys.html",
        status=status,
        errors=errors,
        email=account.email,
        passkeys=[passkey.as_dict() for passkey in await list_passkeys(request.services, account.id)],
        proof=await _proof_kind(request, account),
        is_available=is_available,
        is_required_now=access.tfa_setup_required,
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", PATH, show_passkeys, before_tfa=True),
    Route("POST", PATH, add_passkey, before_tfa=True),
    Route("POST", f"{PATH}/options", create_options, before_tfa=True),
    Route("POST", f"{PATH}/{{passkey}}/rename", rename_passkey),
    Route("POST", f"{PATH}/{{passkey}}/remove", remove_passkey),
)
