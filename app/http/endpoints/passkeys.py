"""Endpoints of passkeys: sign-in, and those below a user's path."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from app.core.errors import InvalidCredentials, InvalidPayload
from app.flows.login import Credentials, LoginService
from app.flows.passkeys.account_proof import Proof
from app.flows.passkeys.assertions import PasskeyOptions, PasskeyResponse
from app.flows.passkeys.own_passkeys import PasskeyService
from app.flows.passkeys.passkey_sign_in import PasskeySignIn
from app.flows.tfa_policy import FlowOperation
from app.flows.tokens import TokenMode
from app.http.collection_request import CollectionRequest, Handler
from app.http.endpoints.token_response import tokens_response
from app.http.flow_endpoint import FlowRequest, FlowRoute, FlowRoutes
from app.http.response import NO_CONTENT, Response, data_response
from app.openapi.request_bodies import (
    EMPTY,
    PASSKEY_LOGIN,
    PASSKEY_NAME,
    PASSKEY_OPTIONS,
    PASSKEY_REGISTRATION,
    PROOF,
)

OPTIONS_STEP = "options"
"""The last step of the path of a registration's options, which is no passkey."""


def passkey_handler(method: str, user: str | None, steps: tuple[str, ...]) -> Handler | None:
    """Return the handler of the path `steps` below `/users/me` (`user` is None) or `/users/<key>`; None if none is."""
    match (method, *steps):
        case ("GET", "passkeys"):
            return partial(_list, user=user)
        case ("PATCH", "passkeys", passkey) if user is None and passkey != OPTIONS_STEP:
            return partial(_rename, passkey=passkey)
        case ("DELETE", "passkeys", passkey) if user is not None or passkey != OPTIONS_STEP:
            return partial(_revoke, passkey=passkey) if user is None else partial(_revoke_for, user=user, key=passkey)
    return None


async def _get_login_options(request: FlowRequest) -> Response:
    """Return options to prove a passkey, the same for everybody."""
    values = await request.read(PASSKEY_OPTIONS)
    return _options_response(PasskeySignIn(request.directory).options(values.get("use", "sign_in")))


async def _login(request: FlowRequest) -> Response:
    """Sign in with a passkey alone, or as the second factor besides a password."""
    values = await request.read(PASSKEY_LOGIN)
    passkey, mode = _response_in(values), TokenMode(values.get("mode", TokenMode.JSON))
    if ("email" in values) != ("password" in values):
        raise InvalidPayload('"email" and "password" belong together')
    if "email" in values:
        credentials = Credentials(values["email"], values["password"], passkey=passkey)
        tokens = await LoginService(request.directory).login(credentials, mode)
    else:
        tokens = await PasskeySignIn(request.directory).sign_in(passkey, mode)
    return tokens_response(request.directory, tokens)


async def _list(request: CollectionRequest, *, user: str | None) -> Response:
    """List the passkeys: the caller's own or, for admins, another user's."""
    passkeys = await PasskeyService(request.directory).all(user)
    return replace(data_response([passkey.as_dict() for passkey in passkeys]), no_store=True)


async def _get_registration_options(request: CollectionRequest) -> Response:
    """Return options to register a passkey, after a proof that it is the user who does."""
    _require_caller(request)
    options = await PasskeyService(request.directory).registration_options(_proof_in(await request.read(PROOF)))
    return _options_response(options)


async def _register(request: CollectionRequest) -> Response:
    _require_caller(request)
    values = await request.read(PASSKEY_REGISTRATION)
    passkey = await PasskeyService(request.directory).register(_response_in(values), values["name"])
    return replace(data_response(passkey.as_dict()), no_store=True)


async def _rename(request: CollectionRequest, *, passkey: str) -> Response:
    _require_caller(request)
    values = await request.read(PASSKEY_NAME)
    renamed = await PasskeyService(request.directory).rename(passkey, values["name"])
    return replace(data_response(renamed.as_dict()), no_store=True)


async def _revoke(request: CollectionRequest, *, passkey: str) -> Response:
    """Revoke an own passkey, after a proof."""
    _require_caller(request)
    await PasskeyService(request.directory).revoke(passkey, _proof_in(await request.read(PROOF)))
    return replace(NO_CONTENT, no_store=True)


async def _revoke_for(request: CollectionRequest, *, user: str, key: str) -> Response:
    """Revoke a passkey of another user, as an admin."""
    await request.read(EMPTY)
    await PasskeyService(request.directory).revoke_for(key, user)
    return replace(NO_CONTENT, no_store=True)


PASSKEY_ROUTES: FlowRoutes = {
    ("POST", "/auth/passkey/options"): FlowRoute(FlowOperation.GET_PASSKEY_OPTIONS, _get_login_options),
    ("POST", "/auth/passkey/login"): FlowRoute(FlowOperation.LOGIN_WITH_PASSKEY, _login),
}
REGISTRATION_ROUTES: Mapping[tuple[str, str], tuple[FlowOperation, Handler]] = {
    ("POST", "passkeys/options"): (FlowOperation.GET_PASSKEY_REGISTRATION_OPTIONS, _get_registration_options),
    ("POST", "passkeys"): (FlowOperation.REGISTER_PASSKEY, _register),
}
"""The operation and the handler of each method and path below `/users/me`."""


def _options_response(options: PasskeyOptions) -> Response:
    data = {"challenge_token": options.challenge_token, "public_key": options.public_key}
    return replace(data_response(data), no_store=True)


def _response_in(values: Mapping[str, Any]) -> PasskeyResponse:
    return PasskeyResponse(values["challenge_token"], values["credential"])


def _proof_in(values: Mapping[str, Any]) -> Proof:
    """Return the proof in a body; raise InvalidPayload for half of a passkey's response."""
    if ("challenge_token" in values) != ("credential" in values):
        raise InvalidPayload('"challenge_token" and "credential" belong together')
    passkey = _response_in(values) if "credential" in values else None
    return Proof(values.get("password"), values.get("otp"), passkey)


def _require_caller(request: CollectionRequest) -> None:
    """Raise InvalidCredentials for anonymous callers, before the body is read."""
    if request.directory.caller.anonymous:
        raise InvalidCredentials
