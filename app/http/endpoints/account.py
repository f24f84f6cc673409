"""Endpoints for invitations and registration, and utilities for clients."""

import re
from urllib.parse import quote

from app.core.errors import InvalidQuery
from app.flows import tools
from app.flows.invitations import Invitations
from app.flows.registration import Registration
from app.flows.tfa_policy import FlowOperation
from app.http.authentication import Authenticator
from app.http.flow_endpoint import FlowEndpoint, FlowRequest, FlowRoute, FlowRoutes
from app.http.response import EMPTY_OK, NO_CONTENT, PLAIN_TEXT, Response, data_response
from app.openapi.request_bodies import (
    EMAIL_VERIFICATION,
    EMPTY,
    INVITATION,
    INVITATION_ACCEPTANCE,
    INVITATION_REVOCATION,
    REGISTRATION,
    TEXT,
    TEXT_AND_HASH,
)
from app.repositories.services import Services

ROOTS = ("/users/invite", "/users/register", "/utils")
"""Path prefixes of this endpoint."""
NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{1,9})?", re.ASCII)


def account_endpoint(services: Services, authenticator: Authenticator) -> FlowEndpoint:
    """Return the endpoint behind each of `ROOTS`."""
    return FlowEndpoint(services, authenticator, ROUTES)


async def _invite(request: FlowRequest) -> Response:
    """Mail an invitation to one address or several; active users among them are skipped."""
    values = await request.read(INVITATION)
    emails = values["email"] if isinstance(values["email"], list) else [values["email"]]
    await Invitations(request.directory).invite(emails, values["role"], values.get("invite_url"))
    return NO_CONTENT


async def _revoke_invitation(request: FlowRequest) -> Response:
    """Revoke all invitations of an address, if it has any."""
    await Invitations(request.directory).revoke((await request.read(INVITATION_REVOCATION))["email"])
    return NO_CONTENT


async def _accept_invitation(request: FlowRequest) -> Response:
    """Set the first password of an invited user, proven by the token of an invitation."""
    values = await request.read(INVITATION_ACCEPTANCE)
    await Invitations(request.directory).accept(values["token"], values["password"])
    return NO_CONTENT


async def _register(request: FlowRequest) -> Response:
    """Register the caller; the response doesn't reveal whether the account already exists."""
    values = await request.read(REGISTRATION)
    url = values.pop("verification_url", None)
    await Registration(request.directory).register(url=url, **values)
    return NO_CONTENT


async def _verify_registration(request: FlowRequest) -> Response:
    """Activate the user of a registration link, and redirect to the user's page."""
    parameters = {name: value for name, value in request.parameters.items() if name == "token"}
    token = EMAIL_VERIFICATION.parse(parameters)["token"]
    user = await Registration(request.directory).verify(token)
    notice = "?notice=email-verified" if request.directory.services.settings.studio else ""
    page = f"/admin/users/{quote(user, safe='')}{notice}"
    # no-referrer: that page, and what it loads, must not learn the token
    headers = ((b"location", page.encode()), (b"referrer-policy", b"no-referrer"))
    return Response(f"Found. Redirecting to {page}".encode(), 302, PLAIN_TEXT, headers)


async def _preview_verification(_: FlowRequest) -> Response:
    """Verify nothing: programs that scan mail send HEAD requests to the links in it."""
    return NO_CONTENT


async def _random_string(request: FlowRequest) -> Response:
    length = request.parameters.get("length")
    return data_response(tools.random_string(None if length is None else _parse_length(length)))


async def _generate_hash(request: FlowRequest) -> Response:
    values = await request.read(TEXT)
    return data_response(await tools.hash_text(request.directory.services, values["string"]))


async def _verify_hash(request: FlowRequest) -> Response:
    values = await request.read(TEXT_AND_HASH)
    return data_response(await tools.verify_hash(request.directory.services, values["string"], values["hash"]))


async def _clear_cache(request: FlowRequest) -> Response:
    await request.read(EMPTY)
    await tools.clear_cache(request.directory)
    return EMPTY_OK


ROUTES: FlowRoutes = {
    ("POST", "/users/invite"): FlowRoute(FlowOperation.INVITE, _invite),
    ("DELETE", "/users/invite"): FlowRoute(FlowOperation.REVOKE_INVITATION, _revoke_invitation),
    ("POST", "/users/invite/accept"): FlowRoute(FlowOperation.ACCEPT_INVITATION, _accept_invitation),
    ("POST", "/users/register"): FlowRoute(FlowOperation.REGISTER, _register),
    ("GET", "/users/register/verify-email"): FlowRoute(FlowOperation.VERIFY_REGISTRATION, _verify_registration),
    ("HEAD", "/users/register/verify-email"): FlowRoute(FlowOperation.VERIFY_REGISTRATION, _preview_verification),
    ("GET", "/utils/random/string"): FlowRoute(FlowOperation.RANDOM_STRING, _random_string),
    ("POST", "/utils/hash/generate"): FlowRoute(FlowOperation.GENERATE_HASH, _generate_hash),
    ("POST", "/utils/hash/verify"): FlowRoute(FlowOperation.VERIFY_HASH, _verify_hash),
    ("POST", "/utils/cache/clear"): FlowRoute(FlowOperation.CLEAR_CACHE, _clear_cache),
}


def _parse_length(text: object) -> int:
    """Return the length that a query parameter says.

    Raises:
        InvalidQuery: It isn't an integer, or is out of range.
    """
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise InvalidQuery('"length" must be a number')
    if "." in text:
        raise InvalidQuery('"length" must be an integer')
    if int(text) < 1:
        raise InvalidQuery('"length" must be greater than or equal to 1')
    if int(text) > tools.MAX_LENGTH:
        raise InvalidQuery(f'"length" must be less than or equal to {tools.MAX_LENGTH}')
    return int(text)
