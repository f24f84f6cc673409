"""What keeps an account safe, below its user's path: where it is signed in, and its second factor."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from app.core.errors import Forbidden, InvalidCredentials
from app.flows.session_list import SessionListService
from app.flows.tfa_policy import OPERATIONS_BEFORE_TFA, FlowOperation
from app.flows.two_factor import TwoFactorService
from app.http.collection_request import NO_CONTENT, CollectionRequest, Handler, data_response
from app.http.response import Response
from app.openapi.request_bodies import CODE, EMPTY, NEW_FACTOR, PROOF, RequestBody


def account_security_handler(method: str, steps: tuple[str, ...]) -> Handler | None:
    """Who answers what lies below `/users/me` and `/users/<key>` about that, if anybody does."""
    if len(steps) < 2:
        return None
    user = None if steps[0] == "me" else steps[0]
    match (method, *steps[1:]):
        case ("GET", "sessions"):
            return partial(_sessions, user=user)
        case ("DELETE", "sessions", *which) if len(which) <= 1:
            return partial(_end, user=user, session=next(iter(which), None))
        case ("POST", "tfa", "disable") if user is not None:
            return partial(_disable_of, user=user)
    _, handler = TFA_ROUTES.get((method, "/".join(steps[1:])), (None, None))
    return handler if user is None else None


async def _sessions(call: CollectionRequest, *, user: str | None) -> Response:
    """The sessions that go on, the caller's own or, for admins, somebody else's."""
    return replace(
        data_response([one.as_dict() for one in await SessionListService(call.directory).all(user)]), no_store=True
    )


async def _end(call: CollectionRequest, *, user: str | None, session: str | None) -> Response:
    """The end of a session, or of all but the one that is asked from; Forbidden for one that there isn't."""
    ended = await SessionListService(call.directory).revoke(session, user)
    if session is not None and not ended:
        raise Forbidden
    return NO_CONTENT


async def _generate(call: CollectionRequest) -> Response:
    """A secret for an authenticator, and the address by which one reads it."""
    made = await TwoFactorService(call.directory).generate((await _read(call, PROOF))["password"])
    return replace(data_response({"secret": made.secret, "otpauth_url": made.url}), no_store=True)


async def _enable(call: CollectionRequest) -> Response:
    given = await _read(call, NEW_FACTOR)
    await TwoFactorService(call.directory).enable(given["otp"], given["secret"])
    return replace(NO_CONTENT, no_store=True)


async def _disable(call: CollectionRequest) -> Response:
    await TwoFactorService(call.directory).disable((await _read(call, CODE))["otp"])
    return replace(NO_CONTENT, no_store=True)


async def _recovery_codes(call: CollectionRequest) -> Response:
    """New recovery codes, which are told this once."""
    codes = await TwoFactorService(call.directory).recovery_codes((await _read(call, CODE))["otp"])
    return replace(data_response(codes), no_store=True)


async def _disable_of(call: CollectionRequest, *, user: str) -> Response:
    await _read(call, EMPTY)
    await TwoFactorService(call.directory).disable_for(user)
    return replace(NO_CONTENT, no_store=True)


TFA_ROUTES: Mapping[tuple[str, str], tuple[FlowOperation, Handler]] = {
    ("POST", "tfa/generate"): (FlowOperation.GENERATE_TFA_SECRET, _generate),
    ("POST", "tfa/enable"): (FlowOperation.ENABLE_TFA, _enable),
    ("POST", "tfa/disable"): (FlowOperation.DISABLE_TFA, _disable),
    ("POST", "tfa/recovery-codes"): (FlowOperation.CREATE_RECOVERY_CODES, _recovery_codes),
}
"""The operation and the handler of each method and path below `/users/me`."""
PATHS_BEFORE_TFA = frozenset(
    (method, f"users/me/{path}")
    for (method, path), (operation, _) in TFA_ROUTES.items()
    if operation in OPERATIONS_BEFORE_TFA
)
"""Methods and paths of collections that are available before two-factor authentication is set up."""


async def _read(call: CollectionRequest, form: RequestBody) -> dict[str, Any]:
    """What the body says; whoever is nobody in particular is told so first."""
    if call.directory.caller.anonymous:
        raise InvalidCredentials
    return await call.read(form)
