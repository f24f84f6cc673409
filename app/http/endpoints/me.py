"""What one asks of oneself in REST: who one is, which roles one has, and what one may do."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from app.core.errors import Forbidden, InvalidCredentials, InvalidPayload
from app.http.collection_request import DONE, CollectionRequest, Handler, change_one, data_response, row_parameters
from app.http.response import Response
from app.query.collection import COLLECTIONS, ROLES, USERS, Collection
from app.repositories.rules.users import track_page

ITEM_ACTIONS = ("update", "delete", "share")


def me_handler(collection: Collection, method: str, steps: tuple[str, ...]) -> Handler | None:
    """Who answers what lies below a collection's `me`, if anybody does."""
    if (collection.short_name, method) == ("permissions", "GET") and 1 <= len(steps) <= 2:
        return _OnItem(*steps)
    return OWN.get(collection.short_name, {}).get((method, "/".join(steps)))


async def _me(call: CollectionRequest) -> Response:
    """Oneself; who may read nothing of that is told who it is all the same."""
    user = await _myself(call)
    asked = row_parameters(call.parameters)
    try:
        return await call.from_plan(asked, user) or data_response(await call.repository.read_one(user, asked))
    except Forbidden:
        return data_response({USERS.key.name: user})


async def _change_me(call: CollectionRequest) -> Response:
    return await change_one(call, await _myself(call))


async def _track(call: CollectionRequest) -> Response:
    """Which page of an app somebody looked at last; everybody may say so of themselves."""
    user, given = await _myself(call), await call.json()
    if not isinstance(given, dict) or "last_page" not in given:
        raise InvalidPayload('"last_page" key is required')
    await track_page(call.directory.services, user, given["last_page"])
    return DONE


async def _roles(call: CollectionRequest) -> Response:
    """The caller's role and its ancestors: their keys at least."""
    roles = list((await call.directory.fresh_access()).roles)
    try:
        return data_response(await call.repository.read_many(roles, row_parameters(call.parameters)) if roles else [])
    except Forbidden:
        return data_response([{ROLES.key.name: role} for role in sorted(roles)])


async def _globals(call: CollectionRequest) -> Response:
    """The flags that the caller's policies add up to; strangers are told the one that they may ask about."""
    access = await call.directory.fresh_access()
    told = {"app_access": access.app}
    if access.user is not None:
        told |= {"admin_access": access.admin, "enforce_tfa": access.enforce_tfa}
    return data_response(told)


async def _permissions(call: CollectionRequest) -> Response:
    return Response(orjson.dumps({"data": await call.directory.permissions()}))


@dataclass(frozen=True, slots=True)
class _OnItem:
    """What the caller may do to one row of a collection, or to the only one it has."""

    collection: str
    key: str | None = None

    async def __call__(self, call: CollectionRequest) -> Response:
        if self.collection not in COLLECTIONS:
            return data_response({action: {"access": False} for action in ITEM_ACTIONS})
        repository = call.directory[self.collection]
        return data_response({action: {"access": await repository.may(action, self.key)} for action in ITEM_ACTIONS})


async def _myself(call: CollectionRequest) -> str:
    user = (await call.directory.access()).user
    if user is None:
        raise InvalidCredentials
    return user


OWN: Mapping[str, Mapping[tuple[str, str], Handler]] = {
    "users": {("GET", ""): _me, ("PATCH", ""): _change_me, ("PATCH", "track/page"): _track},
    "roles": {("GET", ""): _roles},
    "policies": {("GET", "globals"): _globals},
    "permissions": {("GET", ""): _permissions},
}
