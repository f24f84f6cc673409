"""Endpoints about the caller: the user, its roles, and its permissions."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from app.core.errors import Forbidden, InvalidCredentials, InvalidPayload
from app.http.collection_request import CollectionRequest, Handler, row_parameters, update_one
from app.http.response import NO_CONTENT, Response, data_response
from app.query.collection import ROLES, USERS, Collection
from app.repositories.rules.users import track_page

ITEM_ACTIONS = ("update", "delete", "share")


def me_handler(collection: Collection, method: str, steps: tuple[str, ...]) -> Handler | None:
    """Return the handler of the path `steps` below a collection's `me`, None if there is none."""
    if (collection.short_name, method) == ("permissions", "GET") and 1 <= len(steps) <= 2:
        return _ItemPermissions(*steps)
    return HANDLERS.get(collection.short_name, {}).get((method, "/".join(steps)))


async def _read_me(request: CollectionRequest) -> Response:
    """Return the caller's user; only its key if the caller may read nothing of it."""
    user = await _require_user(request)
    parameters = row_parameters(request.parameters)
    try:
        planned = await request.from_plan(parameters, user)
        return planned or data_response(await request.repository.read_one(user, parameters))
    except Forbidden:
        return data_response({USERS.key.name: user})


async def _update_me(request: CollectionRequest) -> Response:
    return await update_one(request, await _require_user(request))


async def _track_page(request: CollectionRequest) -> Response:
    """Save the last page that the caller visited in an app; this needs no permission."""
    user, body = await _require_user(request), await request.json()
    if not isinstance(body, dict) or "last_page" not in body:
        raise InvalidPayload('"last_page" key is required')
    await track_page(request.directory.services, user, body["last_page"])
    return NO_CONTENT


async def _read_roles(request: CollectionRequest) -> Response:
    """Return the caller's role and its ancestors; only their keys if the caller may read nothing of them.

    Raises:
        Forbidden: The caller is anonymous.
    """
    _require_authenticated(request)
    roles = list((await request.directory.fresh_access()).roles)
    parameters = row_parameters(request.parameters)
    try:
        return data_response(await request.repository.read_many(roles, parameters) if roles else [])
    except Forbidden:
        return data_response([{ROLES.key.name: role} for role in sorted(roles)])


async def _read_globals(request: CollectionRequest) -> Response:
    """Return the combined flags of the caller's policies; anonymous callers get only the first."""
    access = await request.directory.fresh_access()
    flags = {"app_access": access.app}
    if access.user is not None:
        flags |= {"admin_access": access.admin, "enforce_tfa": access.enforce_tfa}
    return data_response(flags)


async def _read_permissions(request: CollectionRequest) -> Response:
    """Return what the caller may do; raise Forbidden for anonymous callers."""
    _require_authenticated(request)
    return Response(orjson.dumps({"data": await request.directory.permissions()}))


@dataclass(frozen=True, slots=True)
class _ItemPermissions:
    """Returns what the caller may do with one row of a collection, or with a singleton."""

    collection: str
    key: str | None = None

    async def __call__(self, request: CollectionRequest) -> Response:
        """Return the actions; raise Forbidden for anonymous callers."""
        _require_authenticated(request)
        if self.collection not in request.directory.services.registry:
            await request.directory.fresh_access()
            return data_response({action: {"access": False} for action in ITEM_ACTIONS})
        repository = request.directory[self.collection]
        return data_response({action: {"access": await repository.may(action, self.key)} for action in ITEM_ACTIONS})


def _require_authenticated(request: CollectionRequest) -> None:
    """Raise Forbidden for anonymous callers."""
    if request.directory.caller.anonymous:
        raise Forbidden


async def _require_user(request: CollectionRequest) -> str:
    """Return the caller's user key; raise InvalidCredentials for anonymous callers."""
    user = (await request.directory.access()).user
    if user is None:
        raise InvalidCredentials
    return user


HANDLERS: Mapping[str, Mapping[tuple[str, str], Handler]] = {
    "users": {("GET", ""): _read_me, ("PATCH", ""): _update_me, ("PATCH", "track/page"): _track_page},
    "roles": {("GET", ""): _read_roles},
    "policies": {("GET", "globals"): _read_globals},
    "permissions": {("GET", ""): _read_permissions},
}
"""Handlers by collection, then by method and path below `me`."""
