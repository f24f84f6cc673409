"""Endpoints below a user's path for API tokens."""

from dataclasses import replace
from functools import partial

from app.flows.api_tokens import APITokenService
from app.http.collection_request import CollectionRequest, Handler
from app.http.response import NO_CONTENT, Response, data_response
from app.openapi.request_bodies import API_TOKEN


def api_token_handler(method: str, user: str | None, steps: tuple[str, ...]) -> Handler | None:
    """Return the handler of the path `steps` below `/users/me` (`user` is None) or `/users/<key>`; None if none is."""
    match (method, *steps):
        case ("GET", "tokens"):
            return partial(_list, user=user)
        case ("POST", "tokens"):
            return partial(_create, user=user)
        case ("DELETE", "tokens", token):
            return partial(_revoke, user=user, token=token)
    return None


async def _list(request: CollectionRequest, *, user: str | None) -> Response:
    """List the API tokens: the caller's own or, for admins, another user's."""
    tokens = await APITokenService(request.directory).all(user)
    return replace(data_response([token.as_dict() for token in tokens]), no_store=True)


async def _create(request: CollectionRequest, *, user: str | None) -> Response:
    """Create an API token and return it with its secret, which can't be read again."""
    created = await APITokenService(request.directory).create(await request.read(API_TOKEN), user)
    return replace(data_response(created.as_dict()), no_store=True)


async def _revoke(request: CollectionRequest, *, user: str | None, token: str) -> Response:
    """Revoke an API token.

    Raises:
        Forbidden: There is no such token.
    """
    await APITokenService(request.directory).revoke(token, user)
    return replace(NO_CONTENT, no_store=True)
