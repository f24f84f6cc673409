"""The doors of those who are invited or register, and of small tools for clients."""

import re
from urllib.parse import quote

from app.core.errors import InvalidQuery
from app.flows import tools
from app.flows.invitations import Invitations
from app.flows.registration import Registration
from app.flows.tfa_policy import FlowOperation
from app.http.authentication import Authenticator
from app.http.collection_request import DONE, NO_CONTENT, data_response
from app.http.flow_endpoint import FlowEndpoint, FlowRequest, FlowRoute, FlowRoutes
from app.http.response import Response
from app.openapi.request_bodies import ACCEPTED, EMPTY, INVITATION, PROVED, REGISTRATION, REVOKED, TEXT, TEXT_AND_HASH
from app.repositories.services import Services

ROOTS = ("/users/invite", "/users/register", "/utils")
"""The paths that these doors lie below."""
PLAIN = b"text/plain; charset=utf-8"
NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{1,9})?", re.ASCII)


def account_endpoint(services: Services, identity: Authenticator) -> FlowEndpoint:
    """The door behind each of `ROOTS`."""
    return FlowEndpoint(services, identity, ROUTES)


async def _invite(asked: FlowRequest) -> Response:
    """A mail to one address or many, whoever of them is an active user already left out."""
    given = await asked.read(INVITATION)
    whom = given["email"] if isinstance(given["email"], list) else [given["email"]]
    await Invitations(asked.directory).invite(whom, given["role"], given.get("invite_url"))
    return NO_CONTENT


async def _revoke(asked: FlowRequest) -> Response:
    """The end of every invitation of an address, whether it has any or not."""
    await Invitations(asked.directory).revoke((await asked.read(REVOKED))["email"])
    return NO_CONTENT


async def _accept(asked: FlowRequest) -> Response:
    """A first password, for whoever has a token out of an invitation."""
    given = await asked.read(ACCEPTED)
    await Invitations(asked.directory).accept(given["token"], given["password"])
    return NO_CONTENT


async def _register(asked: FlowRequest) -> Response:
    """An account for oneself; nothing is told of whether there is one already."""
    given = await asked.read(REGISTRATION)
    url = given.pop("verification_url", None)
    await Registration(asked.directory).register(url=url, **given)
    return NO_CONTENT


async def _verify(asked: FlowRequest) -> Response:
    """Follows the link out of a registration's mail, to the page of whoever it made a user."""
    token = PROVED.read({name: value for name, value in asked.parameters.items() if name == "token"})["token"]
    page = f"/admin/users/{quote(await Registration(asked.directory).verify(token), safe='')}"
    # The page that is asked for next, and whatever it loads, needn't know the token.
    more = ((b"location", page.encode()), (b"referrer-policy", b"no-referrer"))
    return Response(f"Found. Redirecting to {page}".encode(), 302, PLAIN, more)


async def _look(_: FlowRequest) -> Response:
    """Whoever only looks whether the link leads anywhere, as programs do that read mail, verifies nothing."""
    return NO_CONTENT


async def _random(asked: FlowRequest) -> Response:
    """A text that nobody can guess."""
    given = asked.parameters.get("length")
    return data_response(tools.random_string(None if given is None else _length(given)))


async def _hash(asked: FlowRequest) -> Response:
    return data_response(await tools.hash_text(asked.directory.services, (await asked.read(TEXT))["string"]))


async def _verify_hash(asked: FlowRequest) -> Response:
    given = await asked.read(TEXT_AND_HASH)
    return data_response(await tools.verify_hash(asked.directory.services, given["string"], given["hash"]))


async def _clear_cache(asked: FlowRequest) -> Response:
    await asked.read(EMPTY)
    await tools.clear_cache(asked.directory)
    return DONE


ROUTES: FlowRoutes = {
    ("POST", "/users/invite"): FlowRoute(FlowOperation.INVITE, _invite),
    ("DELETE", "/users/invite"): FlowRoute(FlowOperation.REVOKE_INVITATION, _revoke),
    ("POST", "/users/invite/accept"): FlowRoute(FlowOperation.ACCEPT_INVITATION, _accept),
    ("POST", "/users/register"): FlowRoute(FlowOperation.REGISTER, _register),
    ("GET", "/users/register/verify-email"): FlowRoute(FlowOperation.VERIFY_REGISTRATION, _verify),
    ("HEAD", "/users/register/verify-email"): FlowRoute(FlowOperation.VERIFY_REGISTRATION, _look),
    ("GET", "/utils/random/string"): FlowRoute(FlowOperation.RANDOM_STRING, _random),
    ("POST", "/utils/hash/generate"): FlowRoute(FlowOperation.GENERATE_HASH, _hash),
    ("POST", "/utils/hash/verify"): FlowRoute(FlowOperation.VERIFY_HASH, _verify_hash),
    ("POST", "/utils/cache/clear"): FlowRoute(FlowOperation.CLEAR_CACHE, _clear_cache),
}


def _length(given: object) -> int:
    """A length as a query string spells it; raises InvalidQuery for what is none, or more than there is."""
    if not isinstance(given, str) or not NUMBER.fullmatch(given):
        raise InvalidQuery('"length" must be a number')
    if "." in given:
        raise InvalidQuery('"length" must be an integer')
    if int(given) < 1:
        raise InvalidQuery('"length" must be greater than or equal to 1')
    if int(given) > tools.MAX_LENGTH:
        raise InvalidQuery(f'"length" must be less than or equal to {tools.MAX_LENGTH}')
    return int(given)
