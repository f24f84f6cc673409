"""Endpoints below a user's path: sessions, two-factor authentication, and the way to API tokens and passkeys."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from app.core.errors import Forbidden, InvalidCredentials
from app.flows.session_list import SessionListService
from app.flows.tfa_policy import OPERATIONS_BEFORE_TFA, FlowOperation
from app.flows.two_factor import TwoFactorService
from app.http.collection_request import CollectionRequest, Handler
from app.http.endpoints.api_tokens import api_token_handler
from app.http.endpoints.passkeys import REGISTRATION_ROUTES, passkey_handler
from app.http.response import NO_CONTENT, Response, data_response
from app.openapi.request_bodies import EMPTY, OTP, PASSWORD_PROOF, TFA_ACTIVATION, RequestBody


def account_security_handler(method: str, steps: tuple[str, ...]) -> Handler | None:
    """Return the handler of a path below `/users/me` or `/users/<key>`, None if it isn't one of these."""
    if len(steps) < 2:
        return None
    user = None if steps[0] == "me" else steps[0]
    match (method, *steps[1:]):
        case ("GET", "sessions"):
            return partial(_list_sessions, user=user)
        case ("DELETE", "sessions", *keys) if len(keys) <= 1:
            return partial(_revoke_sessions, user=user, session=next(iter(keys), None))
        case ("POST", "tfa", "disable") if user is not None:
            return partial(_disable_tfa_for, user=user)
    if handler := api_token_handler(method, user, steps[1:]) or passkey_handler(method, user, steps[1:]):
        return handler
    _, tfa_handler = TFA_ROUTES.get((method, "/".join(steps[1:])), (None, None))
    return tfa_handler if user is None else None


async def _list_sessions(request: CollectionRequest, *, user: str | None) -> Response:
    """List the active sessions: the caller's own or, for admins, another user's."""
    sessions = await SessionListService(request.directory).all(user)
    return replace(data_response([session.as_dict() for session in sessions]), no_store=True)


async def _revoke_sessions(request: CollectionRequest, *, user: str | None, session: str | None) -> Response:
    """End a session, or all but the current one.

    Raises:
        Forbidden: There is no such session.
    """
    revoked = await SessionListService(request.directory).revoke(session, user)
    if session is not None and not revoked:
        raise Forbidden
    return NO_CONTENT


async def _generate_tfa_secret(request: CollectionRequest) -> Response:
    """Return a new TOTP secret, also as a URL for authenticator apps."""
    values = await _read(request, PASSWORD_PROOF)
    totp = await TwoFactorService(request.directory).generate(values["password"])
    return replace(data_response({"secret": totp.secret, "otpauth_url": totp.url}), no_store=True)


async def _enable_tfa(request: CollectionRequest) -> Response:
    values = await _read(request, TFA_ACTIVATION)
    await TwoFactorService(request.directory).enable(values["otp"], values["secret"])
    return replace(NO_CONTENT, no_store=True)


async def _disable_tfa(request: CollectionRequest) -> Response:
    values = await _read(request, OTP)
    await TwoFactorService(request.directory).disable(values["otp"])
    return replace(NO_CONTENT, no_store=True)


async def _create_recovery_codes(request: CollectionRequest) -> Response:
    """Return new recovery codes; they can't be read again."""
    values = await _read(request, OTP)
    codes = await TwoFactorService(request.directory).recovery_codes(values["otp"])
    return replace(data_response(codes), no_store=True)


async def _disable_tfa_for(request: CollectionRequest, *, user: str) -> Response:
    await _read(request, EMPTY)
    await TwoFactorService(request.directory).disable_for(user)
    return replace(NO_CONTENT, no_store=True)


TFA_ROUTES: Mapping[tuple[str, str], tuple[FlowOperation, Handler]] = {
    ("POST", "tfa/generate"): (FlowOperation.GENERATE_TFA_SECRET, _generate_tfa_secret),
    ("POST", "tfa/enable"): (FlowOperation.ENABLE_TFA, _enable_tfa),
    ("POST", "tfa/disable"): (FlowOperation.DISABLE_TFA, _disable_tfa),
    ("POST", "tfa/recovery-codes"): (FlowOperation.CREATE_RECOVERY_CODES, _create_recovery_codes),
    **REGISTRATION_ROUTES,
}
"""The operation and the handler of each method and path below `/users/me`."""
PATHS_BEFORE_TFA = frozenset(
    (method, f"users/me/{path}")
    for (method, path), (operation, _) in TFA_ROUTES.items()
    if operation in OPERATIONS_BEFORE_TFA
)
"""Methods and paths of collections that are available before two-factor authentication is set up."""


async def _read(request: CollectionRequest, expected: RequestBody) -> dict[str, Any]:
    """Return the checked body; anonymous callers are rejected before it is read."""
    if request.directory.caller.anonymous:
        raise InvalidCredentials
    return await request.read(expected)
