"""What one asks of oneself in REST: who one is, which roles one has, and what one may do."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from app.core.errors import Forbidden, InvalidCredentials, InvalidPayload
from app.http.collection_request import DONE, Call, Handler, change_one, data, of_rows
from app.http.response import Reply
from app.query.collection import COLLECTIONS, ROLES, USERS, Collection
from app.repositories.rules.users import track_page

ITEM_ACTIONS = ("update", "delete", "share")
OPEN = frozenset({("POST", "users/me/tfa/enable"), ("POST", "users/me/tfa/generate")})
"""Paths below collections that are open to whoever has to set up a second factor first."""


def own_handler(collection: Collection, method: str, steps: tuple[str, ...]) -> Handler | None:
    """Who answers what lies below a collection's `me`, if anybody does."""
    if (collection.short_name, method) == ("permissions", "GET") and 1 <= len(steps) <= 2:
        return _OnItem(*steps)
    return OWN.get(collection.short_name, {}).get((method, "/".join(steps)))


async def _me(call: Call) -> Reply:
    """Oneself; who may read nothing of that is told who it is all the same."""
    user = await _myself(call)
    asked = of_rows(call.parameters)
    try:
        return await call.planned(asked, user) or data(await call.repository.read_one(user, asked))
    except Forbidden:
        return data({USERS.key.name: user})


async def _change_me(call: Call) -> Reply:
    return await change_one(call, await _myself(call))


async def _track(call: Call) -> Reply:
    """Which page of an app somebody looked at last; everybody may say so of themselves."""
    user, given = await _myself(call), await call.json()
    if not isinstance(given, dict) or "last_page" not in given:
        raise InvalidPayload('"last_page" key is required')
    await track_page(call.directory.services, user, given["last_page"])
    return DONE


async def _roles(call: Call) -> Reply:
    """The caller's role and its ancestors: their keys at least."""
    roles = list((await call.directory.fresh_access()).roles)
    try:
        return data(await call.repository.read_many(roles, of_rows(call.parameters)) if roles else [])
    except Forbidden:
        return data([{ROLES.key.name: role} for role in sorted(roles)])


async def _globals(call: Call) -> Reply:
    """The flags that the caller's policies add up to; strangers are told the one that they may ask about."""
    access = await call.directory.fresh_access()
    told = {"app_access": access.app}
    if access.user is not None:
        told |= {"admin_access": access.admin, "enforce_tfa": access.enforce_tfa}
    return data(told)


async def _permissions(call: Call) -> Reply:
    return Reply(orjson.dumps({"data": await call.directory.permissions()}))


@dataclass(frozen=True, slots=True)
class _OnItem:
    """What the caller may do to one row of a collection, or to the only one it has."""

    collection: str
    key: str | None = None

    async def __call__(self, call: Call) -> Reply:
        if self.collection not in COLLECTIONS:
            return data({action: {"access": False} for action in ITEM_ACTIONS})
        repository = call.directory[self.collection]
        return data({action: {"access": await repository.may(action, self.key)} for action in ITEM_ACTIONS})


async def _myself(call: Call) -> str:
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
